"""Which strings of an observable one circuit measures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np

from qngd.circuit.pauli import PauliStrings, anticommute
from qngd.errors import check_word
from qngd.measured.basis import diagonalize, num_two_qubit_gates
from qngd.measured.random_bases import RandomPaulis

GroupingName = Literal["qubit-wise", "commuting", "auto", "shadows"]
Grouping = GroupingName | RandomPaulis
# What the start of a circuit costs, in shots, and the shots of an energy in a set's error of 1, by which "auto" weighs.
_START, _SHOTS = 100.0, 1000.0


def check_grouping(grouping: object) -> None:
    """Raise SettingError unless `grouping` names a way to group, or is one."""
    if not isinstance(grouping, RandomPaulis):
        check_word(grouping, get_args(GroupingName), "grouping")


def random_paulis(grouping: Grouping) -> RandomPaulis | None:
    """The random measurements that a grouping stands for; None where it is no such one."""
    if isinstance(grouping, RandomPaulis):
        return grouping
    return RandomPaulis() if grouping == "shadows" else None


def group(
    strings: PauliStrings,
    weights: np.ndarray,
    grouping: Grouping,
    circuits: Callable[[np.ndarray], int] = lambda members: 1,
    gates: int | None = None,
) -> list[np.ndarray]:
    """Sets of strings that one circuit can measure.

    "qubit-wise": members agree letter by letter where both act, so single-qubit gates suffice. By sorted insertion:
    heaviest first, into the first set that fits (arXiv:1908.06942).
    "commuting": members commute; measuring them may take two-qubit gates. Of several colourings of the graph of what
    does not commute, that with the fewest circuits, and of equals the one with the smallest error; never more sets
    and never more circuits than "qubit-wise".
    "auto": of both the one that is cheaper. A circuit costs its start, `_START` shots, and its part of the shots that
    an energy with the error ‖a‖/√`_SHOTS` takes, shared out well: in all Σ √(Σ a²) over sets, squared. Sets whose
    basis takes more than `gates` two-qubit gates are measured qubit by qubit.

    Args:
        strings, weights: m strings with their coefficients (m,).
        circuits: the circuits that a set, given by its rows, takes in a step. Where several sets need the same
            derivatives fewer sets are fewer circuits, but with light cones more than their number counts.
        gates: two-qubit gates that "auto" may add to a circuit; None is any number.
    """
    check_grouping(grouping)
    if grouping == "auto":
        return _cheaper(strings, weights, circuits, gates)
    order = np.argsort(-np.abs(weights), kind="stable")
    agreeing = _insert_qubit_wise(strings, order)
    if grouping == "qubit-wise" or len(agreeing) < 2:
        return agreeing

    def price(sets: list[np.ndarray]) -> tuple[int, int, float]:
        # with shots shared out well, the error at a given total is Σ over sets of √(Σ a²), up to what the state does
        spread = sum(float(np.linalg.norm(weights[members])) for members in sets)
        return sum(map(circuits, sets)), len(sets), spread

    clashes = anticommute(strings, strings)
    most_clashes = order[np.argsort(-clashes.sum(axis=1)[order], kind="stable")]
    candidates = (
        _merged(agreeing, clashes, weights),  # takes no more, whatever the circuits are
        _insert_commuting(clashes, order),
        _insert_commuting(clashes, most_clashes),
        _most_constrained(clashes, order),
    )
    limit = price(agreeing)
    priced = [(price(sets), sets) for sets in candidates]
    within = [each for each in priced if each[0][0] <= limit[0] and each[0][1] <= limit[1]]
    return min(within, key=lambda each: each[0])[1]


def _cheaper(
    strings: PauliStrings, weights: np.ndarray, circuits: Callable[[np.ndarray], int], gates: int | None
) -> list[np.ndarray]:
    qubit_wise = group(strings, weights, "qubit-wise")
    joined: list[np.ndarray] = []
    for members in group(strings, weights, "commuting", circuits):
        if gates is not None and num_two_qubit_gates(diagonalize(strings[members])) > gates:
            joined += [members[rows] for rows in group(strings[members], weights[members], "qubit-wise")]
        else:
            joined.append(members)

    def price(sets: list[np.ndarray]) -> float:
        norms = np.array([np.linalg.norm(weights[members]) for members in sets])
        shots = _SHOTS * norms.sum() * norms / max(float(weights @ weights), 1e-300)
        return float(np.array([circuits(members) for members in sets]) @ (_START + shots))

    return min((qubit_wise, joined), key=price)


def spread_over(
    strings: PauliStrings, sets: list[np.ndarray], same: Callable[[np.ndarray, np.ndarray], bool]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Every string measured by all sets that measure it anyway, letter by letter, each of which takes an equal part of
    its coefficient: rows and parts. That takes no more circuits, and of k independent values with equal errors the mean
    has the least (overlapped grouping, arXiv:2105.13091). `same` says whether a set with these rows more takes the same
    circuits."""
    letters = strings.letters()
    found = []
    for members in sets:
        common = letters[members].max(axis=0)
        wider = members
        if np.all((letters[members] == 0) | (letters[members] == common)):
            fitting = np.flatnonzero(((letters == 0) | (letters == common)).all(axis=1))
            wider = fitting if same(members, fitting) else members
        found.append(wider)
    times = np.bincount(np.concatenate(found), minlength=len(strings)) if found else np.zeros(0)
    return [(rows, 1.0 / times[rows]) for rows in found]


def _insert_qubit_wise(strings: PauliStrings, order: np.ndarray) -> list[np.ndarray]:
    """Each set is known by the letters it fixes, so one comparison a set is enough."""
    xs = np.zeros_like(strings.x)
    zs = np.zeros_like(strings.z)
    members: list[list[int]] = []
    for k in order:
        x, z = strings.x[k], strings.z[k]
        count = len(members)
        shared = (x | z) & (xs[:count] | zs[:count])
        clash = ((x ^ xs[:count]) | (z ^ zs[:count])) & shared
        fitting = np.flatnonzero(~clash.any(axis=1))
        place = int(fitting[0]) if len(fitting) else count
        if place == count:
            members.append([])
        members[place].append(int(k))
        xs[place] |= x
        zs[place] |= z
    return [np.array(sorted(m)) for m in members]


def _insert_commuting(clashes: np.ndarray, order: np.ndarray) -> list[np.ndarray]:
    """In this order, each into the first set that nothing in it clashes with; `clashes` (m, m)."""
    blocked = np.zeros_like(clashes)  # per set, what clashes with a member
    members: list[list[int]] = []
    for k in order:
        place = _first_fitting(blocked, members, k)
        members[place].append(int(k))
        blocked[place] |= clashes[k]
    return [np.array(sorted(m)) for m in members]


def _first_fitting(blocked: np.ndarray, members: list[list[int]], k: int) -> int:
    """The first set that k fits into, perhaps a new one."""
    fitting = np.flatnonzero(~blocked[: len(members), k])
    if len(fitting):
        return int(fitting[0])
    members.append([])
    return len(members) - 1


def _merged(sets: list[np.ndarray], clashes: np.ndarray, weights: np.ndarray) -> list[np.ndarray]:
    """Whole sets joined where they commute: heaviest first, each into the first that fits."""
    rows = np.concatenate(sets)
    starts = np.cumsum([0, *(len(members) for members in sets[:-1])])
    by_rows = np.logical_or.reduceat(clashes[rows], starts, axis=0)
    between = np.logical_or.reduceat(by_rows[:, rows], starts, axis=1)
    order = np.argsort([-np.linalg.norm(weights[members]) for members in sets], kind="stable")
    return [np.sort(np.concatenate([sets[i] for i in joined])) for joined in _insert_commuting(between, order)]


def _most_constrained(clashes: np.ndarray, order: np.ndarray) -> list[np.ndarray]:
    """Always next what clashes with the most sets, of equals with the most strings, then the first in `order`; into
    the first set that fits (DSATUR, Brélaz, doi:10.1145/359094.359101)."""
    clashes = clashes[np.ix_(order, order)]
    count = len(order)
    ranks = clashes.sum(axis=1)
    blocked = np.zeros_like(clashes)
    members: list[list[int]] = []
    for _ in range(count):
        k = int(ranks.argmax())
        place = _first_fitting(blocked, members, k)
        members[place].append(k)
        ranks += (count + 1) * (clashes[k] & ~blocked[place])  # one more set outweighs all strings
        ranks[k] = np.iinfo(ranks.dtype).min // 2
        blocked[place] |= clashes[k]
    return [np.sort(order[m]) for m in members]
