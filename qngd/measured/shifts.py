"""Shift rules: derivatives of an energy from its values at other angles.

Moving commuting rotations together, φ + s·c, makes the energy a trigonometric polynomial in s whose
frequencies are the differences of eigenvalues of G = ½Σ c_k P_k. With R positive frequencies Ω, 2R values give
the exact derivative (arXiv:2107.12390):

    E'(0) = Σ_μ b_μ [E(s_μ) − E(−s_μ)],   Σ_μ 2 b_μ sin(Ω_l s_μ) = Ω_l for every l.

Of all such shifts those are taken whose Σ|b_μ| is least: with shots shared out well the error at a given total is
2Σ|b_μ|. No rule has less than the highest frequency, and for equidistant frequencies these have just that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from scipy import sparse

from qngd.circuit.circuit import Circuit
from qngd.circuit.pauli import PauliStrings, product
from qngd.measured.spectra import TOLERANCE as _TOLERANCE
from qngd.measured.spectra import distinct as _distinct

ShiftKind = Literal["auto", "two-term", "general"]
_MAX_RANK = 12  # of a group whose eigenvalues are enumerated
_GRID = 128  # places between which shifts are chosen, at least
_ILL = 1e6  # condition number of a system that is not to be trusted
_FEW = 2  # frequencies that are not worth a closer look at what is measured
_MAX_HARMONICS = 256  # along one parameter


@dataclass(frozen=True, eq=False)
class ShiftRule:
    """A direction c in the space of angles, nonzero on `rotations`, and the shifts that give the derivative along
    it: Σ_μ weights[μ]·[E(φ + shifts[μ]·c) − E(φ − shifts[μ]·c)]."""

    rotations: np.ndarray
    coefficients: np.ndarray
    shifts: np.ndarray
    weights: np.ndarray


def two_term(rotation: int) -> ShiftRule:
    """One rotation: ½[E(φ + π/2) − E(φ − π/2)]."""
    return ShiftRule(np.array([rotation]), np.array([1.0]), np.array([np.pi / 2]), np.array([0.5]))


def shift_rules(
    circuit: Circuit,
    jacobian: sparse.csr_array,
    inside: np.ndarray | None = None,
    spectrum: Callable[[np.ndarray, np.ndarray], np.ndarray | None] | None = None,
    kind: ShiftKind = "auto",
) -> tuple[list[ShiftRule], sparse.csr_array]:
    """Directions whose derivatives D give the gradient as `mixing @ D`, with `mixing` of shape (P, D); the P
    variables are those by which `jacobian` (K, P) moves the angles.

    A rotation is shifted by itself, unless it belongs to a variable's commuting group (its rotations of one
    layer, moved by nothing else) whose spectrum needs fewer evaluations. Spectra depend on the coefficients, so
    for the same circuits at every θ the variables must be those of the constant `AngleMap.linear`.

    Args:
        circuit, jacobian: as said.
        inside: the rotations (mask over K) that what is measured depends on; the derivatives by others are left out.
        spectrum: the frequencies of what is measured, of rotations and their coefficients, or None where it does not
            know; where it knows more than the spectrum of the generators does, its word counts.
        kind: "two-term" shifts every rotation by itself; "general" takes the rule of a group whatever its variance,
            "auto" unless its error at a given number of shots would be more than twice as large.
    """
    moves = jacobian.tocoo()
    owners = np.diff(jacobian.indptr)
    found: list[ShiftRule] = []
    rows, columns, values = [], [], []
    done = np.zeros(len(circuit.generators), dtype=bool) if inside is None else ~inside
    order = np.lexsort((moves.row, circuit.level[moves.row], moves.col))
    groups = np.split(order, np.flatnonzero(_changes(moves.col[order], circuit.level[moves.row[order]])))
    for entries in groups if kind != "two-term" else []:
        members = moves.row[entries]
        used = ~done[members]
        if len(members) < 2 or not used.any() or np.any(owners[members] > 1):
            continue
        frequencies = _of_group(circuit.generators, members, moves.data[entries], used, spectrum)
        members, coefficients = members[used], moves.data[entries][used]
        direction = _grouped(members, coefficients, frequencies, kind)
        if direction is not None:
            rows.append(moves.col[entries[0]])
            columns.append(len(found))
            values.append(1.0)
            found.append(direction)
            done[members] = True
    for k in np.flatnonzero((owners > 0) & ~done):
        span = slice(jacobian.indptr[k], jacobian.indptr[k + 1])
        rows.extend(jacobian.indices[span])
        columns.extend([len(found)] * (span.stop - span.start))
        values.extend(jacobian.data[span])
        found.append(two_term(int(k)))
    shape = (jacobian.shape[1], len(found))
    return found, sparse.coo_array((values, (rows, columns)), shape=shape).tocsr()


def _changes(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.r_[False, (a[1:] != a[:-1]) | (b[1:] != b[:-1])]


def _grouped(
    members: np.ndarray, coefficients: np.ndarray, frequencies: np.ndarray | None, kind: ShiftKind
) -> ShiftRule | None:
    """The general rule for a commuting group if it needs fewer evaluations than one rule per rotation."""
    if frequencies is None or len(frequencies) >= len(members):
        return None
    if not len(frequencies):  # the sum is a constant
        return ShiftRule(members, coefficients, frequencies, frequencies)
    found = best_shifts(tuple(frequencies.tolist()))
    if found is None:
        return None
    shifts, weights = found
    # Unevenly spaced frequencies can take large weights. With equal shots the error at a given total is
    # √(2R·2Σb²); one rule per rotation, its shots shared out well, has Σ|c|. Twice that for fewer circuits is fair.
    error = np.sqrt(4 * len(shifts) * np.sum(weights**2))
    if kind == "auto" and error > 2 * np.abs(coefficients).sum():
        return None
    return ShiftRule(members, coefficients, shifts, weights)


def _of_group(
    generators: PauliStrings,
    members: np.ndarray,
    coefficients: np.ndarray,
    used: np.ndarray,
    spectrum: Callable[[np.ndarray, np.ndarray], np.ndarray | None] | None,
) -> np.ndarray | None:
    """The frequencies along a commuting group, of whose members (a mask over them) only those `used` matter: those that
    its spectrum has, with and without the others, and what is measured too."""
    known = _frequencies(generators[members], coefficients)
    if not used.all():
        known = _common(known, _frequencies(generators[members[used]], coefficients[used]))
    if spectrum is not None and (known is None or len(known) > _FEW):
        known = _common(known, spectrum(members[used], coefficients[used]))
    return known


def _common(one: np.ndarray | None, other: np.ndarray | None) -> np.ndarray | None:
    """The frequencies that are in both, where both are known."""
    if one is None or other is None:
        return other if one is None else one
    found: np.ndarray = one[(np.abs(one[:, None] - other) < 2 * _TOLERANCE).any(axis=1)]
    return found


@lru_cache(maxsize=1024)
def best_shifts(frequencies: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray] | None:
    """Shifts and weights (R,) of an exact derivative with these positive frequencies, ascending, with the least Σ|b|
    among those whose shifts stand on a fine grid; None where no such rule is well conditioned.

    >>> shifts, weights = best_shifts((1.0, 2.0))
    >>> (shifts / np.pi).round(4), (2 * np.abs(weights).sum()).round(6)
    (array([0.25, 0.75]), np.float64(2.0))
    """
    from scipy.optimize import linprog  # with all of scipy.optimize, a fifth of what importing this package takes

    known = np.array(frequencies)
    base, highest = _common_measure(known), float(known[-1])
    count = round(highest / base) if highest < (_MAX_HARMONICS + 0.5) * base else 0
    if count:  # half a period, on whose grid stand the shifts that equidistant frequencies want, from 1 or odd ones
        reach, places = np.pi / base, 2 * count * -(-_GRID // (2 * count))
    else:
        reach, places = np.pi / _step(known), 4 * _GRID
    grid = reach * np.arange(1, places + 1) / places
    system = 2 * np.sin(np.outer(known, grid))
    # a vertex of the linear programme has no more than R shifts
    solved = linprog(np.ones(2 * places), A_eq=np.hstack([system, -system]), b_eq=known, method="highs-ds")
    if solved.x is None:
        return None
    weights = solved.x[:places] - solved.x[places:]
    used = np.flatnonzero(np.abs(weights) > 1e-9 * np.abs(weights).max(initial=0.0))
    chosen = system[:, used]
    if not len(used) or np.linalg.cond(chosen) > _ILL:
        return None
    exact = np.linalg.lstsq(chosen, known, rcond=None)[0]
    return (grid[used], exact) if np.allclose(chosen @ exact, known, rtol=1e-12, atol=1e-12 * highest) else None


def _step(frequencies: np.ndarray) -> float:
    return float(frequencies[0]) if len(frequencies) == 1 else float(np.diff(frequencies).min())


def _frequencies(generators: PauliStrings, coefficients: np.ndarray) -> np.ndarray | None:
    """The positive differences of eigenvalues of ½Σ c_k P_k, ascending; None if there may be too many to know."""
    signs = _sign_patterns(generators)
    if signs is None:
        return None
    eigenvalues = _distinct(0.5 * signs @ coefficients)
    if len(eigenvalues) > 4 * len(coefficients):
        return None
    gaps = _distinct(np.abs(eigenvalues[:, None] - eigenvalues[None]).reshape(-1))
    return gaps[gaps > _TOLERANCE]


def _sign_patterns(generators: PauliStrings) -> np.ndarray | None:
    """All joint eigenvalues (±1) that commuting strings can take, one row each, 2^rank of them; None above
    `_MAX_RANK`. Each string is ± a product of independent ones, whose signs are free."""
    independent, combinations = _express(generators)
    rank = len(independent)
    if rank > _MAX_RANK:
        return None
    free = 1 - 2 * (np.arange(1 << rank)[:, None] >> np.arange(rank) & 1)
    signs = np.empty((1 << rank, len(generators)))
    for k, chosen in enumerate(combinations):
        places = [independent[i] for i in range(rank) if chosen >> i & 1]
        signs[:, k] = _relative_sign(generators, places, k) * free[:, _bits(chosen)].prod(axis=1)
    return signs


def _express(generators: PauliStrings) -> tuple[list[int], list[int]]:
    """Places of independent strings, and for every string the set of these (as a bit mask) whose product it is up
    to a sign; by elimination over two values."""
    reduced: list[tuple[int, int]] = []  # masks, and the combination they stand for
    independent: list[int] = []
    combinations: list[int] = []
    words = np.concatenate([generators.x, generators.z], axis=1)
    for k, row in enumerate(words):
        mask, chosen = int.from_bytes(row.tobytes(), "little"), 0
        for pivot, combination in reduced:
            if mask ^ pivot < mask:
                mask, chosen = mask ^ pivot, chosen ^ combination
        if mask:
            chosen ^= 1 << len(independent)
            reduced.append((mask, chosen))
            reduced.sort(reverse=True)
            independent.append(k)
            chosen = 1 << (len(independent) - 1)
        combinations.append(chosen)
    return independent, combinations


def _bits(mask: int) -> list[int]:
    return [i for i in range(mask.bit_length()) if mask >> i & 1]


def _relative_sign(generators: PauliStrings, places: list[int], k: int) -> float:
    """s with P_k = s·Π P_places, for commuting strings."""
    result = generators[places[:1]]
    sign = 1.0
    for place in places[1:]:
        result, phase = product(result, generators[[place]])
        sign *= 1 - int(phase[0])
    return sign * float(result.sign[0]) * float(generators.sign[k])


def harmonics(circuit: Circuit, jacobian: sparse.csr_array) -> tuple[np.ndarray, np.ndarray]:
    """Of every parameter ω (P,) and R (P,): along it alone E is a trigonometric polynomial Σ_r c_r·exp(irωx) with
    |r| ≤ R, where `jacobian` (K, P) is constant. R = 0 where E does not depend on it, and −1 where the frequencies have
    no common measure (or one so small that R would be more than `_MAX_HARMONICS`).

    Rotations of one layer commute, so their frequencies are gaps of one spectrum; those of several layers add up.
    """
    columns = sparse.csc_array(jacobian)
    steps, counts = np.zeros(jacobian.shape[1]), np.zeros(jacobian.shape[1], dtype=int)
    for i in range(jacobian.shape[1]):
        span = slice(columns.indptr[i], columns.indptr[i + 1])
        rows, weights = columns.indices[span], columns.data[span]
        parts = []
        for layer in np.unique(circuit.level[rows]):
            inside = circuit.level[rows] == layer
            found = _frequencies(circuit.generators[rows[inside]], weights[inside])
            parts += [np.abs(weights[inside])[:, None]] if found is None else [found[None]]
        each = [row for part in parts for row in part if len(row)]
        if not each:
            continue
        steps[i] = _common_measure(np.concatenate(each))
        most = sum(float(row.max()) for row in each)
        counts[i] = round(most / steps[i]) if most < (_MAX_HARMONICS + 0.5) * steps[i] else -1
    return steps, counts


def _common_measure(values: np.ndarray) -> float:
    """The largest number of which all of these positive ones are multiples, by Euclid's algorithm."""
    measure = 0.0
    for value in values:
        larger, smaller = max(measure, float(value)), min(measure, float(value))
        while smaller > 1e-7 * larger and smaller > _TOLERANCE:
            rest = larger % smaller
            # a rest that is all but a whole turn is rounding
            larger, smaller = smaller, 0.0 if smaller - rest < 1e-7 * smaller else rest
        measure = larger
    return measure
