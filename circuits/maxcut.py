"""MaxCut by QAOA, written in PennyLane.

The observable is -cut = ½ Σ_{(i,j)} (Z_i Z_j - 1) over the edges of a graph, so the energy is minus
the expected size of the cut. The ansatz alternates exp(-iγ H) and exp(-iβ ΣX) on |+…+⟩, ``depth``
times (arXiv:1411.4028).
"""

from collections.abc import Iterable
from numbers import Integral

import networkx as nx
import numpy as np
import pennylane as qml
from pennylane import numpy as pnp
from pennylane import qaoa

import qngd

FOUR_VERTICES = ((0, 1), (0, 3), (1, 2), (1, 3))
MAX_EXACT_VERTICES = 20


def problem(
    *,
    edges: Iterable[tuple[int, int]] | None = None,
    num_vertices: int | None = None,
    degree: int = 3,
    depth: int = 2,
    seed: int = 0,
) -> qngd.Problem:
    """The largest cut of a graph.

    Args:
        edges: pairs of vertices, numbered from 0. Without ``edges`` and ``num_vertices`` the graph
            has the edges 01, 03, 12 and 13.
        num_vertices: draws a random regular graph of this many vertices instead of taking
            ``edges``.
        degree: of the random regular graph.
        depth: alternations p of the QAOA.
        seed: of the random regular graph.

    Returns:
        A problem whose QNode takes two arrays of shape ``(depth,)``, the angles γ and β, and
        returns minus the expected cut. It starts on a linear ramp, γ rising and β falling in
        magnitude, as slow annealing would. Its reference is minus the largest cut, found by trying
        all; None beyond 20 vertices. With the default settings that is -3, and the best that depth
        2 reaches is -2.9035.

    Raises:
        ValueError: if a setting is out of range.
    """
    if not isinstance(depth, Integral) or depth < 1:
        raise ValueError(f"depth must be an integer of at least 1, got {depth!r}")
    if edges is not None and num_vertices is not None:
        raise ValueError("edges and num_vertices exclude each other: give a graph or have one drawn, not both")
    if num_vertices is None:
        graph = _given_graph(FOUR_VERTICES if edges is None else edges)
    else:
        graph = _random_graph(num_vertices, degree, seed)

    cost, mixer = qaoa.maxcut(graph)
    wires = range(graph.number_of_nodes())

    @qml.qnode(qml.device("default.qubit", wires=wires))
    def energy(gammas, betas):
        for wire in wires:
            qml.Hadamard(wire)
        for gamma, beta in zip(gammas, betas, strict=True):
            qaoa.cost_layer(gamma, cost)
            qaoa.mixer_layer(beta, mixer)
        return qml.expval(cost)

    ramp = (np.arange(depth) + 0.5) / depth
    vertices, edge_count = graph.number_of_nodes(), graph.number_of_edges()
    return qngd.Problem(
        energy,
        None,
        (pnp.array(ramp, requires_grad=True), pnp.array(ramp - 1, requires_grad=True)),
        name=f"MaxCut, {vertices} vertices, {edge_count} edges, depth {depth}",
        reference_energy=_lowest_energy(graph),
    )


def _given_graph(edges) -> nx.Graph:
    graph = nx.Graph()
    try:
        pairs = [(i, j) for i, j in edges]
    except (TypeError, ValueError):
        raise ValueError(f"edges must be pairs of vertices such as [[0, 1], [1, 2]], got {edges!r}") from None
    if not pairs:
        raise ValueError("edges must hold at least one pair of vertices")
    for i, j in pairs:
        if not all(isinstance(vertex, Integral) and vertex >= 0 for vertex in (i, j)) or i == j:
            raise ValueError(f"edges must join two different vertices numbered from 0, got {(i, j)!r}")
    graph.add_nodes_from(range(1 + max(map(max, pairs))))
    graph.add_edges_from(pairs)
    return graph


def _random_graph(num_vertices, degree, seed) -> nx.Graph:
    if not isinstance(num_vertices, Integral) or num_vertices < 2:
        raise ValueError(f"num_vertices must be an integer of at least 2, got {num_vertices!r}")
    if not isinstance(degree, Integral) or not 1 <= degree < num_vertices:
        raise ValueError(
            f"degree must be an integer from 1 to {num_vertices - 1} with num_vertices={num_vertices}, got {degree!r}"
        )
    if num_vertices * degree % 2:
        raise ValueError(
            f"degree must be even when num_vertices is odd, got {degree!r} with num_vertices={num_vertices}"
        )
    if not isinstance(seed, Integral) or seed < 0:
        raise ValueError(f"seed must be an integer of at least 0, got {seed!r}")
    drawn = nx.random_regular_graph(degree, num_vertices, seed=seed)
    graph = nx.Graph()
    graph.add_nodes_from(range(num_vertices))
    graph.add_edges_from(sorted(tuple(sorted(edge)) for edge in drawn.edges))
    return graph


def _lowest_energy(graph: nx.Graph) -> float | None:
    n = graph.number_of_nodes()
    if n > MAX_EXACT_VERTICES:
        return None
    # The last vertex may stay on its side: a cut and its mirror image are the same.
    sides = np.arange(2 ** (n - 1))
    cut = np.zeros(len(sides), dtype=int)
    for i, j in graph.edges:
        cut += (sides >> i ^ sides >> j) & 1
    return -float(cut.max())
