"""From a circuit to one of more rounds: INTERP (arXiv:1812.01041)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from qngd._system.keywords import hinted
from qngd.circuit.circuit import Circuit
from qngd.circuit.theta import as_flat, values_by_name
from qngd.errors import ParameterError, counted
from qngd.interop import is_function, one_round_longer, parameters_in, wrap_for
from qngd.interop.arguments import CircuitLike, Theta
from qngd.interop.arrays import as_numbers, in_kind_of
from qngd.interop.given import read_given
from qngd.start.rounds import rounds_of


@hinted
def interpolated(result: Any, circuit: CircuitLike, theta: Theta | None = None) -> Any:
    """A start for a circuit of p + 1 rounds from the best angles of p: each kind of angle, as a function of the round,
    is drawn out over one round more (INTERP, arXiv:1812.01041).

    A round is what the deeper circuit repeats, whatever it consists of: QAOA's two angles, one angle for each edge, the
    layers of a hardware-efficient circuit. What belongs together is read from the gates, so that parameters may stand
    in any order: all γ before all β, in turn, rows of an array. Of several rounds more, one is added after the other.

    Args:
        result: the `Result` of the run with p rounds (or what else has a `.theta`, as a step's info), or its θ.
        circuit: the deeper circuit, anything `wrap` takes. A QNode or quantum function that takes arrays of any length
            is the same for both, and gets arrays that are one round longer.
        theta: for a QNode or quantum function, arguments to call the deeper circuit with, where it makes a fixed number
            of rounds, or its arrays are not just one round longer; of parameters only the shapes matter.

    Returns:
        θ for the deeper circuit, in the user's structure.

    Raises:
        CircuitError: the circuit cannot be read.
        ParameterError: the deeper circuit does not repeat what the number of new parameters amounts to, or θ does not
            fit.

    >>> circuit = qngd.CircuitBuilder(2)
    >>> angles = circuit.parameters("b0", "b1", "b2", "g0", "g1", "g2")
    >>> for beta, gamma in zip(angles[:3], angles[3:]):
    ...     circuit = circuit.rzz(gamma, 0, 1).rx(beta, 0).rx(beta, 1)
    >>> qngd.start.interpolated([0.4, 0.2, 0.5, 0.7], circuit)
    array([0.4, 0.3, 0.2, 0.5, 0.6, 0.7])
    """
    shallow = getattr(result, "theta", result)
    if theta is None and is_function(circuit):
        theta = _one_round_longer(circuit, shallow)
    deep = read_given(circuit, None, theta, role="example")
    values, names = _values(shallow, circuit, deep.circuit)
    found = _drawn_out(values, deep.circuit)
    if names is not None:
        return dict(zip(names, found.tolist(), strict=True))
    return in_kind_of(shallow, found) if theta is None and deep.circuit.example is None else deep.shaped(found)


def _one_round_longer(function: Any, theta: Any) -> Any:
    """Arguments to call a function with that gives a circuit with as many rounds as its arrays are long."""
    try:
        circuit = wrap_for(function, theta)
    except Exception as error:  # of the user's own code, on what it may not be written for
        error.add_note(
            "interpolated called it with the result's theta, to see how its arrays grow; where it makes a fixed number "
            "of rounds, give theta=, arguments to call the deeper circuit with"
        )
        raise
    rounds = rounds_of(circuit, lambda size: True)
    if rounds is None:
        raise _idle(circuit)
    return one_round_longer(circuit, theta, rounds.round)


def _values(theta: Any, native: Any, deep: Circuit) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """The shallow circuit's parameters, flat, and the deep one's names where they are wanted by name."""
    if is_function(native) and (found := parameters_in(deep, theta)) is not None:
        return found, None
    if isinstance(theta, Mapping):
        numbers = {key: as_numbers(value) for key, value in theta.items()}
        by_name = values_by_name(numbers, deep.parameters, shorter=True)
        if by_name.keys() <= set(deep.parameters):
            ordered = [by_name[name] for name in deep.parameters if name in by_name]
            return as_flat(ordered, len(ordered)), deep.parameters
    parts = [np.ravel(as_numbers(part)) for part in (theta if isinstance(theta, (tuple, list)) else (theta,))]
    flat = np.concatenate([np.zeros(0), *parts])
    return as_flat(flat, len(flat)), None


def _drawn_out(values: np.ndarray, deep: Circuit) -> np.ndarray:
    """θ (P,) of the deep circuit from that of a shallower one."""
    more = deep.num_parameters - len(values)
    if more <= 0:
        raise ParameterError(
            f"circuit: it has {counted(deep.num_parameters, 'parameter')}, the result {len(values)}; give a circuit "
            "with more rounds than that of the result"
        )
    rounds = rounds_of(deep, lambda size: more % size == 0)
    series = [] if rounds is None else list(rounds.series())
    new = more // len(series) if series else 0
    if not series or min(map(len, series)) <= new:
        raise ParameterError(
            f"circuit: it has {counted(more, 'parameter')} more than the result, and does not consist of rounds that "
            "as many parameters make up, of which the result has at least one; give a circuit that repeats its rounds"
        )
    found = np.empty(deep.num_parameters)
    # the shallow circuit's parameters stand in the order of the deep one's, without those of the last rounds
    last = np.concatenate([members[-new:] for members in series])
    found[np.setdiff1d(np.arange(deep.num_parameters), last)] = values
    for members in series:
        angles = found[members[:-new]]
        for _ in range(new):
            angles = _one_more(angles)
        found[members] = angles
    return found


def _one_more(angles: np.ndarray) -> np.ndarray:
    """u′_i = (i − 1)/p·u_{i−1} + (p − i + 1)/p·u_i for i = 1…p + 1, with u_0 = u_{p+1} = 0."""
    p = len(angles)
    i = np.arange(p + 1)
    return i / p * np.append(0.0, angles) + (p - i) / p * np.append(angles, 0.0)


def _idle(circuit: Circuit) -> ParameterError:
    used = set(circuit.angle_map.pattern.indices.tolist())
    names = [name for k, name in enumerate(circuit.parameters) if k not in used]
    return ParameterError(f"circuit: no gate depends on {', '.join(names)}; leave it out")
