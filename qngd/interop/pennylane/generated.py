"""Unitaries U(θ) that arithmetic made and whose generators nevertheless stay the same, as the rotations that they are.

A matrix of IsingXX, times fixed matrices, is a rotation about XX like the gate itself. Whether that is so is seen at a
few other values of the parameters, at which the user's arithmetic is done again: always the same values, so that the
answer does not depend on the θ at hand. (Where values decide what is done it could, and nothing is concluded.) With
V = U(θ₀), the generators are constant iff all A = U(θ)·V† commute; then

    U(θ) = exp(−i·K(θ))·V,    K(θ) in the span of the −i·log A.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.linalg
from autograd import numpy as anp

from qngd.circuit.pauli_sum import of_matrix
from qngd.interop.pennylane.site import Site
from qngd.interop.pennylane.trace import Node, has_branched, node_of, plain
from qngd.interop.synthesis import Turn, pauli_matrix, turn_about, turns_in_basis, unitary_turns

_NEAR, _FAR = 0.02, 1.2  # how far the parameters are moved from θ₀: so that logarithms are unique, and to be sure
_EXACT = 1e-9  # what is zero but for rounding
_MAX_WIRES, _MAX_BASIS_WIRES = 6, 4
_TURNS = 2  # how many times 2π a phase may have gone around, of those that `_shifts` tries


class _Family(NamedTuple):
    """What U(θ) was seen to be: V, some K near it, and some A far from it."""

    reference: np.ndarray
    generators: list[np.ndarray]
    far: list[np.ndarray]


class _Eigenspaces(NamedTuple):
    """Projectors Π_c, in which all generators are diagonal; `inside` says that V is so too and is not split off."""

    projectors: list[np.ndarray]
    inside: bool


def generated(matrix: Any, places: Sequence[int], site: Site) -> list[Turn] | None:
    """The rotations of a traced unitary matrix if its generators are constant; else None."""
    if len(places) > _MAX_WIRES or has_branched():
        return None
    family = _family(matrix)
    turns = _about_words(matrix, family, places, site)
    if turns is None:  # U = V·exp(−iK') may have simple generators on this side
        other = anp.conj(matrix).T
        turns = _about_words(other, _family(other), places, site)
        turns = None if turns is None else [turn.inverse() for turn in reversed(turns)]
    if turns is None and family is not None and len(places) <= _MAX_BASIS_WIRES:
        turns = _in_eigenbasis(matrix, family, places, site)
    return turns


# ----- seeing it -----


def samples(node: Node, steps: Sequence[float]) -> list[np.ndarray] | None:
    """The values of a traced array at a fixed place θ₀ and at places this far from it; None if it has none there."""
    graph = _graph(node)
    places = [one.single.which for one in graph if one.function is None and one.single is not None]
    rng = np.random.default_rng(11)
    size = 1 + max((int(np.max(place, initial=-1)) for place in places), default=-1)
    start = rng.uniform(0.2, 0.9, size)
    points = [start + step * rng.uniform(-1, 1, size) for step in (0.0, *steps)]
    try:
        with np.errstate(all="ignore"):
            values = [np.asarray(plain(_replay(graph, point))) for point in points]
    except (TypeError, ValueError, ArithmeticError, IndexError):
        return None  # these places are outside of the domain
    return values if all(np.isfinite(value).all() for value in values) else None


def _graph(node: Node) -> list[Node]:
    """The node after all that it came from, each after what it came from itself."""
    found, stack = {node}, [node]
    while stack:
        new = [parent for parent in stack.pop().parents if parent not in found]
        found.update(new)
        stack.extend(new)
    return sorted(found, key=lambda one: one.serial)


def _replay(graph: Sequence[Node], theta: np.ndarray) -> Any:
    """The value of the last node at other values of the parameters."""
    values: dict[Node, Any] = {}
    for one in graph:
        if one.function is None and one.single is not None:  # a parameter, or an array of them
            values[one] = theta[one.single.which]
            continue
        args = list(one.args)
        for argument, parent in zip(one.argnums, one.parents, strict=True):
            args[argument] = values[parent]
        values[one] = one.function(*args, **one.kwargs)
    return values[graph[-1]]


def _family(matrix: Any) -> _Family | None:
    node = node_of(matrix)
    seen = None if node is None else samples(node, (_NEAR, _NEAR, _NEAR, _FAR, _FAR))
    if seen is None or any(_distance(u.conj().T @ u, np.eye(len(u))) > _EXACT for u in seen):
        return None
    reference = seen[0]
    ratios = [u @ reference.conj().T for u in seen[1:]]
    generators = [_logarithm(a) for a in ratios[:3]]
    size = max(np.abs(k).max() for k in generators)
    if size < _EXACT:
        return None
    pairs = itertools.product(generators, [*generators, *(size * a for a in ratios[3:])])
    if any(_distance(k @ a, a @ k) > 1e-7 * size**2 for k, a in pairs):
        return None
    return _Family(reference, generators, ratios[3:])


def _logarithm(a: np.ndarray) -> np.ndarray:
    """The Hermitian K of A = exp(−iK) near 1."""
    triangle, basis = scipy.linalg.schur(a, output="complex")  # diagonal, as A is normal
    return -(basis * np.angle(np.diag(triangle))) @ basis.conj().T


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a - b).max())


def _words(generators: Sequence[np.ndarray], count: int) -> list[str]:
    """The Pauli labels of which the generators are sums, first letter on the first place."""
    size = max(np.abs(k).max() for k in generators)
    found: dict[str, None] = {}
    for k in generators:
        total = of_matrix(k, range(count), count)
        kept = np.flatnonzero(np.abs(total.coefficients) > 1e-7 * size)
        found.update(dict.fromkeys(label[::-1] for label in total.strings[kept].labels()))
    return list(found)


def _independent(words: Sequence[str]) -> list[str] | None:
    """Commuting words, two at most, of which all are products; None if there are no such."""
    proper = [word for word in words if set(word) != {"I"}]
    if not all(commute(a, b) for a, b in itertools.combinations(proper, 2)):
        return None
    chosen = proper[:2]
    known = {_times(chosen, mask)[0] for mask in range(2 ** len(chosen))} if chosen else set()
    return chosen if all(word in known for word in proper) else None


def commute(a: str, b: str) -> bool:
    """Whether two Pauli labels commute."""
    return sum("I" not in pair and pair[0] != pair[1] for pair in zip(a, b, strict=True)) % 2 == 0


def _times(words: Sequence[str], mask: int) -> tuple[str, float]:
    """The product of the words chosen by a mask, the first the most significant bit: its label and sign."""
    matrix = functools.reduce(
        np.matmul,
        [pauli_matrix(word) for i, word in enumerate(words) if mask >> (len(words) - 1 - i) & 1],
        np.eye(2 ** len(words[0])),
    )
    label = "".join(_letter(matrix, place) for place in range(len(words[0])))
    return label, float(np.real(np.trace(matrix @ pauli_matrix(label))) / len(matrix))


def _letter(pauli: np.ndarray, place: int) -> str:
    """The letter of a product of Pauli letters at a place."""
    count = int(np.log2(len(pauli)))
    x, z = ("I" * place + letter + "I" * (count - place - 1) for letter in "XZ")
    has_z = _distance(pauli @ pauli_matrix(x), pauli_matrix(x) @ pauli) > 0.5
    has_x = _distance(pauli @ pauli_matrix(z), pauli_matrix(z) @ pauli) > 0.5
    return "IZXY"[has_z + 2 * has_x]


# ----- writing it -----


def _about_words(matrix: Any, family: _Family | None, places: Sequence[int], site: Site) -> list[Turn] | None:
    """Rotations about commuting words W_S: products of one or two of them.

    On the joint eigenspace s, U(θ) is exp(i·f(s)) and f(s) = Σ_S c_S·(−1)^|S ∧ s|. Only the c_S of the generators' own
    words move. The f(s) are known modulo 2π; they are taken such that the others do not move.
    """
    if family is None:
        return None
    words = _words(family.generators, len(places))
    independent = _independent(words)
    if independent is None:
        return None
    count = 2 ** len(independent)
    frame = _frame(family, _joint_projectors(independent, len(family.reference)))
    phases, weights = _phases(matrix, frame, family)
    if phases is None:
        return None
    products = [_times(independent, mask) if independent else ("I" * len(places), 1.0) for mask in range(count)]
    moves = np.array([label in words for label, _ in products])
    still = np.zeros(count)
    signs = scipy.linalg.hadamard(count) / count  # (−1)^|S ∧ s|
    if frame.inside:
        still[~moves] = (signs @ np.angle(_on(family.reference, frame.projectors)))[~moves]
    shift = _shift(phases, moves, still)
    if shift is None:
        return None
    turns = [] if frame.inside else unitary_turns(family.reference, places)
    for row, (label, sign) in enumerate(products):
        if moves[row]:
            traced = anp.sum(signs[row] * (anp.angle(_traced(matrix, weights)) - 2 * np.pi * shift))
            turns.append(turn_about(label, places, site.slot(traced * (-2.0 * sign))))
        elif abs(still[row]) > _EXACT:
            turns.append(turn_about(label, places, -2.0 * sign * float(still[row])))
    return turns


def _in_eigenbasis(matrix: Any, family: _Family, places: Sequence[int], site: Site) -> list[Turn] | None:
    """W·diag(exp(i·f))·W† in an eigenbasis W of all generators."""
    weights_of = np.random.default_rng(5).uniform(0.5, 1.0, len(family.generators))
    _, basis = np.linalg.eigh(np.tensordot(weights_of, np.array(family.generators), axes=1))
    if any(_off_diagonal(basis, a) > 1e-7 for a in family.far):
        return None
    frame = _frame(family, [np.outer(column, column.conj()) for column in basis.T])
    phases, weights = _phases(matrix, frame, family)
    if phases is None:
        return None
    traced = anp.angle(_traced(matrix, weights))
    slots = [site.slot(traced[k]) for k in range(len(basis))]
    before = [] if frame.inside else unitary_turns(family.reference, places)
    return [*before, *turns_in_basis(basis, slots, places)]


def _off_diagonal(basis: np.ndarray, a: np.ndarray) -> float:
    inner = basis.conj().T @ a @ basis
    return _distance(inner, np.diag(np.diag(inner)))


def _joint_projectors(words: Sequence[str], size: int) -> list[np.ndarray]:
    """∏_i (1 ± W_i)/2; the first word's sign is the most significant bit, 1 for −1."""
    one = np.eye(size, dtype=complex)
    result = [one]
    for word in words:
        result = [p @ (one + sign * pauli_matrix(word)) / 2 for p in result for sign in (1, -1)]
    return result


def _frame(family: _Family, projectors: list[np.ndarray]) -> _Eigenspaces:
    values = _on(family.reference, projectors)
    rebuilt = np.tensordot(values, np.array(projectors), axes=1)
    return _Eigenspaces(projectors, _distance(rebuilt, family.reference) < _EXACT)


def _on(u: np.ndarray, projectors: Sequence[np.ndarray]) -> np.ndarray:
    """The mean eigenvalue of a matrix on each eigenspace."""
    return np.array([np.trace(p @ u) / np.trace(p).real for p in projectors])


def _phases(matrix: Any, frame: _Eigenspaces, family: _Family) -> tuple[np.ndarray | None, np.ndarray]:
    """The phases at the present θ, or None if U is not diagonal there, and weights for `_traced`."""
    other = np.eye(len(family.reference)) if frame.inside else family.reference.conj().T
    weights = np.array([(other @ p).T / np.trace(p).real for p in frame.projectors])
    now = np.asarray(plain(matrix))
    values = np.sum(weights * now, axis=(1, 2))
    rebuilt = np.tensordot(values, np.array(frame.projectors), axes=1)
    is_diagonal = _distance(rebuilt, now @ other) < 1e-6
    return (np.angle(values) if is_diagonal else None), weights


def _traced(matrix: Any, weights: np.ndarray) -> Any:
    return anp.sum(weights * matrix, axis=(1, 2))


def _shift(phases: np.ndarray, moves: np.ndarray, still: np.ndarray) -> np.ndarray | None:
    """The multiples of 2π to be taken off the phases so that the coefficients that do not move are `still`."""
    shifts = _shifts(len(phases))
    transform = scipy.linalg.hadamard(len(phases)) / len(phases)
    found = (phases - 2 * np.pi * shifts) @ transform
    error = np.abs(found - still)[:, ~moves].max(axis=1, initial=0.0)
    fitting = np.flatnonzero(error < 1e-6)  # several differ by whole turns; always the first, so that angles are smooth
    return shifts[fitting[0]] if len(fitting) else None


@functools.lru_cache(maxsize=8)
def _shifts(count: int) -> np.ndarray:
    """All tuples of small integers, the smallest first."""
    tuples = np.array(list(itertools.product(range(-_TURNS, _TURNS + 1), repeat=count)))
    return tuples[np.argsort(np.abs(tuples).sum(axis=1), kind="stable")]
