"""Backends of the user's own, in the two methods of the protocol: what they raise ends a run with what it has, and what
they return is checked."""

import numpy as np
import pytest
from qiskit.providers import JobError

import qngd
from qngd.errors import BackendError, ParameterError, SettingError
from qngd.measured.outcomes import Counts, Means
from tests.own_backends import Own
from tests.pennylane_devices import FakeQPU
from tests.qiskit_devices import Counting, Unreliable
from tests.strategies import ansatz

CIRCUIT, THETA, TERMS = ansatz(2, 1), np.array([0.3, -0.6, 0.9, 0.2]), {"ZZ": 1.0, "XI": 0.5}


class OfTheProvider(Exception):
    """Derives from nothing that anybody knows."""


def run(backend, **given):
    return qngd.minimize(CIRCUIT, TERMS, THETA, backend=backend, **{"shots": 100, "max_steps": 5, "tol": 0} | given)


def raising(error):
    def change(_):
        raise error

    return change


ERRORS = [
    OfTheProvider("line 3"),
    ZeroDivisionError("x"),
    TypeError("x"),
    KeyError("job"),
    MemoryError("x"),
    StopIteration(),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("where", ["collect", "submit"])
def test_an_error_of_an_unknown_class_ends_a_run_with_what_it_has(where, error):
    backend = Own(raising(error)) if where == "collect" else Own(refuse=error)
    result = run(backend, seed=3)
    assert (result.status, result.steps, result.cost.jobs) == ("failed", 1, 2)
    assert f"my lab failed: {type(error).__name__}" in result.message
    assert np.array_equal(result.history, run(Own(), seed=3).history[:2])
    assert result.energy == result.history[-1]
    backend.submissions = 2
    with pytest.raises(BackendError, match="my lab failed") as caught:
        qngd.expectation(CIRCUIT, TERMS, THETA, backend=backend, shots=100)
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    "device",
    [
        lambda: Unreliable({}, {}, OfTheProvider("sent")),
        lambda: Unreliable({}, {}, {"errors": (OfTheProvider("waited"),)}),
        lambda: Unreliable({}, {}, {"errors": (JobError("waited"), JobError("waited"))}),
        lambda: Unreliable({}, {}, {"change": raising(OfTheProvider("read"))}),
        lambda: FakeQPU(2, failing_after(20, OfTheProvider("executed"))),
        lambda: FakeQPU(2, failing_after(20, NotImplementedError("executed"))),
    ],
)
def test_so_do_errors_in_the_code_of_qiskits_and_pennylanes_providers(device):
    result = run(device())
    assert (result.status, result.steps, len(result.history)) == ("failed", 1, 2)
    assert any(word in result.message for word in ("sent", "waited", "read", "executed"))


def failing_after(scripts, error):
    """Every shot reads 0, for so many scripts."""
    left = [scripts]

    def answer(script):
        left[0] -= 1
        if left[0] < 0:
            raise error
        return FakeQPU.zeros(script)

    return answer


def test_a_callers_mistake_is_still_an_exception():
    for error, call in (
        (ParameterError, lambda: qngd.minimize(CIRCUIT, TERMS, [0.1], backend=Own(), shots=10)),
        (SettingError, lambda: run(Own(), shots=-3)),
        (SettingError, lambda: run(Counting(), shots="many")),
        (KeyboardInterrupt, lambda: run(Own(refuse=None, change=None), callback=raising(KeyboardInterrupt()))),
    ):
        if error is KeyboardInterrupt:
            assert call().status == "interrupted"
            continue
        with pytest.raises(error):
            call()


def first(make):
    return lambda outcomes: [make(outcomes[0]), *outcomes[1:]]


OUTCOMES = {
    "nothing": (lambda outcomes: None, "None where a list of outcomes was expected"),
    "too few": (lambda outcomes: outcomes[:-1], "9 outcomes for 10 requests"),
    "too many": (lambda outcomes: [*outcomes, outcomes[0]], "11 outcomes for 10 requests"),
    "a dictionary": (first(lambda o: {"00": 100}), r"dict where Counts or Means were expected \(request 0\)"),
    "NaN counts": (first(lambda o: Counts(o.bits, o.counts * np.nan)), "the count nan where whole ones"),
    "negative counts": (first(lambda o: Counts(o.bits, -o.counts)), "the count -"),
    "fractions": (first(lambda o: Counts(o.bits, o.counts / 100)), r"the count 0\.\d+ where whole ones of at least 0"),
    "no shots": (first(lambda o: Counts(o.bits[:0], o.counts[:0])), "no shots"),
    "signed bits": (first(lambda o: Counts(o.bits.astype(int), o.counts)), "bits of int64"),
    "bits as rows": (first(lambda o: Counts(o.unpacked(2), o.counts)), "bits of bool of shape"),
    "other qubits": (first(lambda o: Counts(o.bits + np.uint64(4), o.counts)), "bits beyond its 2 qubits"),
    "other counts": (first(lambda o: Counts(o.bits, o.counts[:-1])), "counts of int64 of shape"),
    "other means": (first(lambda o: Means(np.zeros(9), np.zeros(9), 10)), r"values of float64 of shape \(9,\)"),
    "NaN means": (first(lambda o: Means(np.array([np.nan]), np.zeros(1), 10)), "values that are NaN or infinite"),
    "infinite errors": (first(lambda o: Means(np.zeros(1), np.full(1, np.inf), 10)), "standard errors that are NaN"),
    "negative errors": (first(lambda o: Means(np.zeros(1), -np.ones(1), 10)), "a negative standard error"),
    "shared errors of others": (
        first(lambda o: Means(np.zeros(1), np.ones(1), 10, shared=np.ones((2, 2)))), r"shared errors of shape \(2, 2\)"
    ),
    "shared errors of two kinds": (
        lambda outcomes: [Means(np.zeros(1), np.ones(1), 10, shared=np.ones((k, 1))) for k in (2, 3)] + outcomes[2:],
        "2 rows of shared errors in some outcomes and 3 in others",
    ),
    "negative shots": (first(lambda o: Means(np.zeros(1), np.zeros(1), -1)), "-1 shots"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "said"), OUTCOMES.values(), ids=OUTCOMES)
def test_outcomes_are_checked_where_they_come_in(change, said):
    result = run(Own(change))
    assert (result.status, result.steps) == ("failed", 1)
    backend = Own(change)
    backend.submissions = 2
    with pytest.raises(BackendError, match=f"my lab returned {said}"):
        qngd.minimize(CIRCUIT, TERMS, THETA, backend=backend, shots=100)


def test_an_iterator_of_outcomes_is_as_good_as_a_list():
    assert run(Own(iter), seed=3).steps == 5
