"""Backends of users' own, which derive from nothing: what one has is used, and what it does not have is not missed."""

from pathlib import Path

import numpy as np
import pytest

import qngd
from qngd.backends import BackendBase, Limits, ResumableBackend, resolve
from qngd.backends.foreign import completed
from qngd.backends.statevector import StatevectorSampler
from qngd.circuit.observable import Observable
from qngd.errors import BackendError
from qngd.estimates.evaluation import Cost
from qngd.measured.planner import Planner
from qngd.metrics import BlockDiagonal
from tests.lab import Service
from tests.pages import shown
from tests.strategies import ansatz

ROOT = Path(qngd.__file__).parent.parent
TERMS, THETA = {"ZZ": 1.0, "XI": 0.5}, np.array([0.3, -0.6, 0.9, 0.2])


class Least:
    """The embedded sampler with the four things that a backend must have."""

    name, is_noisy = "least", False

    def __init__(self):
        self.inner = StatevectorSampler()
        self.asked = []

    def submit(self, templates, requests, seed):
        self.asked.append(len(requests))
        return self.inner.submit(templates, requests, seed)

    def collect(self, handle):
        return self.inner.collect(handle)


def run(backend, **given):
    return qngd.minimize(
        ansatz(2, 1), TERMS, THETA, backend=backend, max_steps=2, tol=0, **{"shots": 50, "seed": 1} | given
    )


def price(backend, **given):
    return qngd.cost(ansatz(2, 1), TERMS, THETA, backend=backend, **{"shots": 50} | given)


def test_the_least_that_a_backend_has(tmp_path):
    """The same numbers as from the embedded sampler itself; nothing to resume, and nothing priced but circuits."""
    backend, expected = Least(), run("statevector")
    for given in ({}, {"run_dir": tmp_path}):
        result = run(backend, **given)
        assert np.array_equal(result.history, expected.history)
        assert result.cost == expected.cost
    assert not (tmp_path / "jobs.jsonl").exists()
    found = price(backend)
    assert (found.step.jobs, found.step.circuits, found.depth, found.seconds, found.limits) == (
        1,
        backend.asked[0],
        None,
        None,
        "",
    )
    with pytest.raises(qngd.SettingError, match="shots"):
        qngd.sample(ansatz(2, 1), THETA, backend=backend)


def test_a_view_is_made_once():
    backend = Least()
    view = resolve(backend)
    assert isinstance(view, BackendBase)
    assert (view.name, view.is_noisy, view.own) == ("least", False, backend)
    assert resolve(view) is completed(view) is view
    own = StatevectorSampler()
    assert resolve(own) is own


class Alone(Least):
    def preview(self, requests):
        return Cost(7, 2 * len(requests), 99)


class AloneWithLimits(Alone):
    limits = Limits(circuits=3)


class Both(Least):
    def preview(self, requests, templates):
        return Cost(len(templates), 2 * len(requests), 99)


class Optional(Least):
    def preview(self, requests, templates=None, *, more=1):
        return Cost(0 if templates is None else len(templates), 2 * len(requests), 99)


class Anything(Least):
    def preview(self, *given):
        assert len(given) == 2
        return Cost(len(given[1]), 2 * len(given[0]), 99)


@pytest.mark.parametrize("kind", [Alone, AloneWithLimits, Both, Optional, Anything])
def test_previews_of_either_kind(kind):
    """With and without the templates, whether the backend says its limits or not."""
    backend = kind()
    found = price(backend)
    assert found.step.circuits == 2 * sum((found.energy_circuits, found.gradient_circuits, found.metric_circuits))
    assert found.step.shots == 99
    assert found.step.jobs == (7 if isinstance(backend, Alone) else num_templates())
    assert found.limits == ("3 circuits" if kind is AloneWithLimits else "")


def num_templates():
    observable = Observable.from_mapping(TERMS)
    return len(Planner(ansatz(2, 1), observable).plan(THETA, metric=BlockDiagonal()).templates)


class Wrapped:
    """A backend behind another object, which logs what is called: all is found by `__getattr__`."""

    def __init__(self, inner):
        self.inner, self.called = inner, []

    def __getattr__(self, name):
        self.called.append(name)
        return getattr(self.inner, name)


def test_a_backend_behind_another_object(tmp_path):
    service = Service()
    lab = shown("howto/add-a-backend.md").PatientLab
    service.trouble = [None, KeyboardInterrupt()]
    wrapped = Wrapped(lab(service))
    assert isinstance(resolve(wrapped), ResumableBackend)
    assert run(wrapped, run_dir=tmp_path).status == "interrupted"
    assert {"prepare", "send"} <= set(wrapped.called)
    assert run(wrapped, run_dir=tmp_path).steps == 2
    assert "attach" in wrapped.called
    assert len(service.jobs) == 3


@pytest.mark.parametrize(("name", "package"), [("aer", "qiskit_aer"), ("lightning.qubit", "pennylane_lightning")])
def test_our_own_backends_behind_another_object(name, package):
    pytest.importorskip(package)
    expected = run(resolve(name, limits=Limits(circuits=3)))
    result = run(Wrapped(resolve(name, limits=Limits(circuits=3))))
    assert np.array_equal(result.history, expected.history)
    assert result.cost == expected.cost
    assert expected.cost.jobs > 3
    assert price(Wrapped(resolve(name, limits=Limits(circuits=3)))) == price(resolve(name, limits=Limits(circuits=3)))


class Counting(Least):
    """Handles that say what was spent; shots, times and sizes of its own."""

    default_shots, rep_delay, is_noisy = 30, None, True

    def submit(self, templates, requests, seed):
        handle = type("Handle", (), {"num_jobs": 3, "num_circuits": 2 * len(requests)})()
        handle.inner = super().submit(templates, requests, seed)
        return handle

    def collect(self, handle):
        return super().collect(handle.inner)

    def describe(self, templates):
        sizes = {"depth": 5, "two_qubit_depth": 2, "two_qubit_gates": 4, "seconds": 1e-6}
        return (type("Size", (), sizes) for _ in templates)  # once


def test_what_a_backend_has_is_used():
    backend = Counting()
    result = run(backend, shots=None)
    assert (result.cost.jobs, result.cost.circuits) == (9, 2 * sum(backend.asked))
    assert (result.cost.shots, result.cost.depth, result.cost.two_qubit_gates) == (30 * sum(backend.asked), 5, 4)
    found = price(backend, shots=None)
    assert (found.depth, found.two_qubit_depth, found.two_qubit_gates) == (5, 2, 4)
    assert found.step.shots == 30 * backend.asked[0]
    assert found.seconds is None  # the delay between shots is not known
    assert found.is_noisy
    assert "noisy" in result.note


class Derived(BackendBase):
    """The same by a base class."""

    name, is_noisy, default_shots = "derived", False, 30

    def __init__(self):
        self.inner = StatevectorSampler()

    def submit(self, templates, requests, seed):
        return self.inner.submit(templates, requests, seed)

    def collect(self, handle):
        return self.inner.collect(handle)

    def spent(self, handle, requests):
        return Cost(2, len(requests))


def test_a_backend_with_our_base_class():
    expected = run("statevector", shots=30)
    result = run(Derived(), shots=None)
    assert np.array_equal(result.history, expected.history)
    assert (result.cost.jobs, result.cost.circuits) == (2 * expected.cost.jobs, expected.cost.circuits)
    with pytest.raises(TypeError, match="abstract"):
        type("Partial", (BackendBase,), {"name": "x", "is_noisy": False})()


# --- what is wrong with one is said ---


@pytest.mark.parametrize(("missing", "line"), [("name", 'name = "my lab"'), ("is_noisy", "is_noisy = False")])
def test_what_a_backend_must_have(missing, line):
    parts = {
        part: vars(Least)[part] for part in ("name", "is_noisy", "submit", "collect", "__init__") if part != missing
    }
    nearly = type("Nearly", (), parts)()
    for call in (run, price):
        with pytest.raises(
            BackendError, match=f"backend: Nearly has no {missing} .*; write {line} in the class Nearly"
        ):
            call(nearly)


@pytest.mark.parametrize("missing", ["submit", "collect"])
def test_half_a_backend_is_none(missing):
    parts = {part: vars(Least)[part] for part in ("name", "is_noisy", "submit", "collect") if part != missing}
    with pytest.raises(BackendError, match=r"Nearly is not a backend\..*with name, is_noisy, submit and collect"):
        run(type("Nearly", (), parts)())


class HalfResumable(Least):
    def prepare(self, templates, requests, seed):
        return object()


class WithoutWatch(HalfResumable):
    def attach(self, handle, job_ids):
        raise AssertionError

    send = attach


@pytest.mark.parametrize(
    ("kind", "said"), [(HalfResumable, "HalfResumable has no attach, send;"), (WithoutWatch, "object has no watch;")]
)
def test_half_of_what_finding_jobs_takes(kind, said, tmp_path):
    """It matters where jobs are kept; elsewhere a method may be called `prepare` for reasons of its own."""
    assert run(kind()).steps == 2
    with pytest.raises(BackendError, match=said):
        run(kind(), run_dir=tmp_path)


class Refusing(Least):
    def describe(self, templates):
        raise ValueError("too deep")

    preview = describe


def test_errors_of_a_backends_own_code_name_it():
    with pytest.raises(BackendError, match="least failed: ValueError: too deep"):
        price(Refusing())


OTHERS = {
    "name": "other",
    "is_noisy": True,
    "is_local": True,
    "is_lazy": True,
    "default_shots": 7,
    "gives_counts": False,
    "sent_whole": True,
    "shares_errors": True,
    "least_shots": 3,
    "has_one_number": True,
    "circuit_start": 55.0,
    "limits": Limits(circuits=5),
    "rep_delay": 0.5,
    "noise_digest": "T1 of today",
    "set_to": "mitigated",
    "seed": 11,
}


class Plain(BackendBase):
    """One with the defaults."""

    name, is_noisy = "least", False
    submit = collect = None


def test_all_that_a_backend_says_of_itself_is_used():
    own = Least()
    vars(own).update(OTHERS)
    assert {name for name, found in vars(BackendBase).items() if isinstance(found, property)} == set(OTHERS)
    assert {name: getattr(completed(own), name) for name in OTHERS} == OTHERS
    usual = {name: getattr(completed(Least()), name) for name in OTHERS}
    assert usual == {name: getattr(Plain(), name) for name in OTHERS}


@pytest.mark.parametrize("name", sorted(OTHERS))
def test_an_error_in_what_a_backend_says_of_itself_is_a_backend_error(name):
    def broken(self):
        raise ConnectionError("no route to the lab")

    kind = type("Broken", (Plain,), {name: property(broken)})
    with pytest.raises(BackendError, match="no route to the lab"):
        getattr(kind(), name)


def test_a_seed_of_its_own_is_that_of_the_run():
    own = Least()
    own.seed = 5
    assert np.array_equal(run(own, seed=None).history, run(Least(), seed=5).history)
    own.seed = np.random.default_rng(1)  # what is no number is no seed
    assert completed(own).seed is None
