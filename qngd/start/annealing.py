"""How a circuit follows an annealing schedule, found from its rotations.

Slow annealing goes from the ground state of a driver D to that of H = Σ_t c_t·P_t along H(s) = (1 − s)·D + s·H. QAOA
(arXiv:1411.4028) is its Trotter product: for s = s_1 < … < s_p rotations about the strings of H, which commute with it,
then about those of D, each by twice its coefficient in H(s) times a step of time.

What a rotation does is read from its generator, in the frame without Clifford gates:

- *cost*: it commutes with every string of H. In circuits whose H has no such rotation (Hamiltonian variational ones):
  it stands in H and moves the initial state.
- *driver*: all others. Where the initial state |0…0⟩ of the frame is an eigenstate of them all, as |+…+⟩ is of QAOA's
  X mixers, they are taken with the signs that make it their ground state.
- *round*: the number of times that cost follows driver on the way to it, over rotations that anticommute; so it depends
  neither on names, nor on the order in which commuting gates were written.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qngd.circuit.circuit import Circuit
from qngd.circuit.observable import Observable
from qngd.circuit.pauli import PauliStrings, anticommute
from qngd.errors import CircuitError


@dataclass(frozen=True, eq=False)
class Annealing:
    """The moving rotations that an annealing schedule turns, R of them, and the parts of H(s) that they stand for.

    Attributes:
        rows: (R,) their numbers in the circuit.
        s: (R,) where on the way from 0 to 1 each stands.
        cost, driver: (R,) the coefficients of their generators in H and in D, in units in which both are of order 1.
    """

    rows: np.ndarray
    s: np.ndarray
    cost: np.ndarray
    driver: np.ndarray

    @classmethod
    def of(cls, circuit: Circuit, observable: Observable) -> Annealing:
        """Read it from the circuit.

        Raises:
            CircuitError: rotations of the one or the other kind are missing.
        """
        if not circuit.moving.any():
            raise CircuitError("circuit: no gate depends on a parameter, so there is no start to choose")
        pulled = circuit.pull(observable)
        target = pulled.strings[pulled.acting]
        rows = np.flatnonzero(circuit.moving)
        generators = circuit.generators[rows]
        number, distinct = _numbered(generators)
        own = _own_coefficients(circuit)[rows]
        found = _coefficients(generators, target, pulled.coefficients[pulled.acting])
        is_cost = _cost(distinct, target, found[np.unique(number, return_index=True)[1]] != 0)
        crossing = anticommute(distinct[is_cost], distinct[~is_cost])
        if not crossing.any():
            raise _no_ramp(is_cost)
        rounds = _rounds(number, is_cost, crossing)
        on_cost = is_cost[number]
        if not (found[on_cost] != 0).any():  # another cost than H, with coefficients of its own
            found = np.where(on_cost, own, 0.0)
        found = found / _strength(number, found, is_cost, crossing)
        driver = np.where(on_cost, 0.0, _driver(generators, ~on_cost, own, circuit.unit[rows]))
        # what commutes with all of the other kind changes no energy, and has no place on the way
        matters = np.ones(len(distinct), dtype=bool)
        matters[is_cost], matters[~is_cost] = crossing.any(axis=1), crossing.any(axis=0)
        chosen = matters[number]
        s = (rounds + 0.5) / (1 + rounds[chosen].max())
        return cls(rows[chosen], s[chosen], found[chosen], driver[chosen])

    def angles(self, width: float, cost_sign: int, driver_sign: int) -> np.ndarray:
        """(R,) rotation angles of a ramp: exp(−iφ/2·P) is a step of time `width` with φ = 2·width times P's
        coefficient in H(s)."""
        return 2 * width * (cost_sign * self.s * self.cost + driver_sign * (1 - self.s) * self.driver)


def _numbered(strings: PauliStrings) -> tuple[np.ndarray, PauliStrings]:
    """Equal strings by equal numbers (K,), and each string once, by its number; signs do not count."""
    keys = np.concatenate([strings.x, strings.z], axis=1)
    _, first, number = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    return number.reshape(-1), strings[first]


def _coefficients(strings: PauliStrings, target: PauliStrings, values: np.ndarray) -> np.ndarray:
    """(K,) the coefficients of the strings, with their signs, in Σ values·target."""
    known = dict(zip(_keys(target), values * target.sign, strict=True))
    return np.array([known.get(key, 0.0) for key in _keys(strings)]) * strings.sign


def _keys(strings: PauliStrings) -> list[bytes]:
    return [row.tobytes() for row in np.concatenate([strings.x, strings.z], axis=1)]


def _cost(strings: PauliStrings, target: PauliStrings, in_target: np.ndarray) -> np.ndarray:
    """Which strings are of the cost (K,)."""
    commutes = np.array([not anticommute(strings[[k]], target).any() for k in range(len(strings))], dtype=bool)
    return commutes if commutes.any() else in_target & strings.x.any(axis=1)


def _own_coefficients(circuit: Circuit) -> np.ndarray:
    """(K,) what the parameters of each rotation turn it by, one radian each."""
    jacobian = circuit.angle_map.linearize(np.ones(circuit.num_parameters))[1]
    return np.asarray(jacobian.sum(axis=1), dtype=float).ravel()


def _rounds(number: np.ndarray, is_cost: np.ndarray, crossing: np.ndarray) -> np.ndarray:
    """(K,) the round of every rotation, from 0; `number` says which string it turns about."""
    place = np.where(is_cost, np.cumsum(is_cost), np.cumsum(~is_cost)) - 1
    latest_cost, latest_driver = np.full(len(crossing), -1), np.full(crossing.shape[1], -1)
    rounds = np.zeros(len(number), dtype=np.int64)
    for k, string in enumerate(number):
        own = place[string]
        if is_cost[string]:
            rounds[k] = latest_cost[own] = max(latest_driver[crossing[own]].max(initial=-1) + 1, latest_cost[own])
        else:
            rounds[k] = latest_driver[own] = max(latest_cost[crossing[:, own]].max(initial=0), latest_driver[own])
    return rounds


def _strength(number: np.ndarray, found: np.ndarray, is_cost: np.ndarray, crossing: np.ndarray) -> float:
    """√⟨Σc²⟩ over the drivers' strings, the sum over the strings of the cost that anticommute with one.

    So that D and H turn the state about as fast: the best angles of one round on a graph of degree d are γ ≈ 1/√d
    (arXiv:1706.02998), those of weighted ones divided by the weights' root mean square (arXiv:2305.15201).
    """
    values = np.zeros(len(is_cost))
    values[number] = found
    squares = values[is_cost] ** 2 @ crossing
    return float(np.sqrt(squares[squares > 0].mean()))


def _driver(generators: PauliStrings, is_driver: np.ndarray, own: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """(K,) the coefficients in D."""
    if not generators.x[is_driver].any():  # ⟨0|P|0⟩ = sign: D = −Σ sign·P
        return -generators.sign.astype(float)
    # a controlled mixer's gate is many strings with small coefficients, which together turn as one does
    totals = np.bincount(unit[is_driver], np.abs(own[is_driver]))
    size = np.sqrt(np.mean(totals[totals > 0] ** 2)) if totals.any() else 1.0
    return own / size


def _no_ramp(is_cost: np.ndarray) -> CircuitError:
    if not is_cost.any():
        why = "no rotation with a parameter commutes with the observable, as QAOA's cost layers do"
    elif is_cost.all():
        why = "all rotations with parameters commute with the observable, and none mixes"
    else:
        why = "the rotations that commute with the observable commute with all others"
    return CircuitError(
        f"circuit: {why}, so there is no way to anneal along; start with qngd.start.near_zero(circuit) or "
        "qngd.start.uniform(circuit), and see that circuit and observable belong together"
    )
