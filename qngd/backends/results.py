"""What a provider returned, checked once and read: counts, samples and expectation values.

Everything that is not what was asked for, such as probabilities, another number of shots, or other bits, is refused and
named.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from qngd.backends.tallies import WHOLE, Tally
from qngd.errors import is_number

# Providers that keep probabilities round each count, by ½ at most: IonQ's counts miss a few shots so.
_ROUNDING, _MOST_MISSING = 0.5, 0.05  # of an outcome; of all shots
# Extrapolated expectation values of Pauli strings may leave [−1, 1], but not by this and by so many standard errors.
_FAR, _FAR_ERRORS = 1.0, 10.0


class Unreadable(Exception):
    """Something other than what was asked for; the text says what came, and what was expected."""


def tally(found: Any, qubits: np.ndarray, num_qubits: int, shots: int) -> Tally:
    """Counts by outcome of a circuit that measures `qubits` (k,), asked for with `shots` shots.

    Outcomes are bit strings, highest bit first, with spaces between registers or not; "0x…" and "0b…"; or whole
    numbers. Bit j is that of qubits[j].

    Raises:
        Unreadable: they are not counts of this many shots and bits.
    """
    if not isinstance(found, Mapping):
        raise Unreadable(f"{said(found)} where a mapping from bit strings to counts was expected")
    if not found:
        raise Unreadable(f"no counts where {shots} shots were asked for")
    texts = _texts(list(found), len(qubits))
    weights = _weights(found, shots)
    overhead = _number(getattr(found, "mitigation_overhead", None))
    total = _checked(weights, list(found), shots)
    letters = np.frombuffer("".join(texts).encode(), dtype=np.uint8)
    ones = letters.reshape(len(texts), len(qubits))[:, ::-1] == ord("1")
    return Tally.of_bits(ones, qubits, num_qubits, total, weights, overhead)


def samples(found: Any, qubits: np.ndarray, num_qubits: int, shots: int) -> tuple[Tally, int]:
    """The tally of bits (shots, k), column j of qubits[j], and how many shots are lost: those with NaN.

    Raises:
        Unreadable: they are not the bits of this many shots, or more than half of these are lost.
    """
    count = len(qubits)
    try:
        bits = np.asarray(found)
    except Exception as error:  # ragged lists and objects with an __array__ of their own
        raise Unreadable(f"{said(found)} where the bits of {shots} shots were expected") from error
    if bits.ndim == 1 and count == 1:
        bits = bits[:, None]
    if found is None:
        raise Unreadable(f"None where the bits of {shots} shots were expected")
    if bits.dtype.kind not in "biuf" or bits.ndim != 2 or bits.shape[1] != count:
        raise Unreadable(
            f"{said(bits)} where the bits of {shots} shots and {count} qubits were expected, an array of shape "
            f"({shots}, {count})"
        )
    if len(bits) != shots:
        raise Unreadable(_other_shots(len(bits), shots))
    lost = np.isnan(bits).any(axis=1) if bits.dtype.kind == "f" else np.zeros(len(bits), dtype=bool)
    if 2 * lost.sum() > shots:
        raise Unreadable(f"{int(lost.sum())} of {shots} shots as lost (NaN)")
    kept = bits[~lost]
    ones = kept == 1
    if not np.array_equal(ones, kept):
        other = kept[(kept != 0) & (kept != 1)][0]
        hint = "; eigenvalues ±1 are not bits" if other == -1 else ""
        raise Unreadable(f"{other} where the bits 0 and 1 of {count} qubits were expected{hint}")
    return Tally.of_bits(ones, qubits, num_qubits, len(kept)), int(lost.sum())


def estimates(found: Any, shape: tuple[int, ...], what: str) -> np.ndarray:
    """Real numbers of this shape.

    Raises:
        Unreadable: they are none, or one of them is NaN or infinite.
    """
    values = _reals(found, shape, what)
    if not np.isfinite(values).all():
        raise Unreadable(f"{values[~np.isfinite(values)][0]} among its {what}")
    return values


def standard_errors(found: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Standard errors of this shape, none negative; NaN and infinite ones are for the caller to judge.

    Raises:
        Unreadable: they are none.
    """
    values = _reals(found, shape, "standard errors")
    if (values < 0).any():
        raise Unreadable(f"the negative standard error {values[values < 0][0]:g}")
    return values


def check_bounds(values: np.ndarray, stderr: np.ndarray | float) -> None:
    """Raise Unreadable where expectation values of Pauli strings are far outside of [−1, 1]."""
    far = np.abs(values) - 1 > np.maximum(_FAR, _FAR_ERRORS * np.asarray(stderr))
    if far.any():
        raise Unreadable(f"{values[far][0]:g} as the expectation value of a Pauli string, which is between −1 and 1")


def shape_of(found: Any) -> tuple[int, ...]:
    """The shape of an array or of nested lists; () of what has none."""
    try:
        return np.shape(found)
    except Exception:  # ragged lists and objects with an __array__ of their own
        return ()


def said(found: Any) -> str:
    """What came, in a few words."""
    if found is None:
        return "None"
    if isinstance(found, np.ndarray):
        return f"an array of {found.dtype} of shape {found.shape}"
    if isinstance(found, (bool, int, float, complex, str, np.generic)):
        text = repr(found)
        return text if len(text) < 60 else f"{text[:57]}…"
    kind = type(found).__name__
    return f"{'an' if kind[:1].lower() in 'aeiou' else 'a'} {kind}"


def _texts(outcomes: list[Any], width: int) -> list[str]:
    """Outcomes as texts of `width` bits."""
    plain = all(isinstance(outcome, str) and len(outcome) == width for outcome in outcomes)
    if plain and not "".join(outcomes).strip("01"):
        return outcomes
    return [_text(outcome, width) for outcome in outcomes]


def _text(outcome: Any, width: int) -> str:
    expected = f"where outcomes of {width} bits were expected"
    number = None
    if isinstance(outcome, (int, np.integer)) and not isinstance(outcome, bool):
        number = int(outcome)
    elif not isinstance(outcome, str):
        raise Unreadable(f"the outcome {outcome!r} {expected}, such as {'0' * width!r}")
    else:
        bits = outcome.replace(" ", "").replace("_", "")
        base = {"0x": 16, "0b": 2}.get(bits[:2].lower())
        if base is not None:
            try:
                number = int(bits, base)
            except ValueError as error:
                raise Unreadable(f"the outcome {outcome!r} {expected}") from error
        elif bits.strip("01"):
            raise Unreadable(f"the outcome {outcome!r} {expected}, 0 and 1 alone")
        elif len(bits) != width:
            raise Unreadable(f"the outcome {outcome!r} of {len(bits)} bits {expected}")
        else:
            return bits
    if not 0 <= number < 1 << width:
        raise Unreadable(f"the outcome {outcome!r} {expected}, of 0 to {(1 << width) - 1}")
    return format(number, f"0{width}b")


def _weights(found: Mapping[Any, Any], shots: int) -> np.ndarray:
    values = list(found.values())
    plain = set(map(type, values)) <= {int, float}  # as they are almost always; a call for each would take the time
    for outcome, value in () if plain and np.isfinite(values).all() else found.items():
        if not is_number(value) or not math.isfinite(value):
            raise Unreadable(f"{said(value)} as the count of {outcome!r} where counts of {shots} shots were expected")
    return np.array([float(value) for value in values])


def _checked(weights: np.ndarray, outcomes: list[Any], shots: int) -> int:
    """The shots that the weights stand for.

    Raises:
        Unreadable: they are not those of `shots` shots.
    """
    total = float(weights.sum())
    whole = bool(np.all(np.abs(weights - np.rint(weights)) <= WHOLE))
    if shots > 1 and abs(total - 1) < 1e-3 and (not whole or len(weights) == 1):
        raise Unreadable(f"probabilities, which add up to 1, where counts of {shots} shots were expected")
    if whole and (weights < 0).any():
        place = int(np.argmin(weights))
        negative = f"the negative count {weights[place]:g} of {outcomes[place]!r}"
        raise Unreadable(f"{negative} where counts of {shots} shots were expected")
    if abs(total - shots) > min(_ROUNDING * len(weights), _MOST_MISSING * shots):
        raise Unreadable(_other_shots(total, shots))
    return round(total) if whole else shots


def _other_shots(found: float, shots: int) -> str:
    return (
        f"{found:g} of {shots} shots of a circuit" if found < shots else f"{found:g} shots where {shots} were asked for"
    )


def _number(value: Any) -> float:
    """A finite, positive number, or 0."""
    return float(value) if is_number(value) and 0 < value < math.inf else 0.0


def _reals(found: Any, shape: tuple[int, ...], what: str) -> np.ndarray:
    expected = f"where real {what} of shape {shape} were expected"
    try:
        values = np.asarray(found)
    except Exception as error:  # ragged lists and objects with an __array__ of their own
        raise Unreadable(f"{said(found)} {expected}") from error
    if found is None or values.dtype.kind not in "biuf":
        alone = isinstance(found, list) and len(found) == 1
        raise Unreadable(f"{said(found[0] if alone else found)} {expected}")
    if values.shape != shape:
        raise Unreadable(f"{said(values)} {expected}")
    return values.astype(float)
