"""Sharing one state over threads changes no result; who owns the cores, and what an error does."""

import itertools
import threading

import numpy as np
import pytest
import threadpoolctl
from scipy import sparse

from qngd._system import threads as _threads
from qngd.circuit.observable import Observable
from qngd.exact import tangents
from qngd.exact.simulator import Simulator
from qngd.exact.statevector import Terms
from tests import dense
from tests.strategies import random_observable, random_program


@pytest.fixture
def threads(monkeypatch):
    """threads(k): k threads, shared out from the smallest state on."""

    def force(count, split_from=1):
        monkeypatch.setenv("QNGD_NUM_THREADS", str(count))
        monkeypatch.setattr(_threads, "_SPLIT_FROM", split_from)
        monkeypatch.setattr(tangents, "_THREADS_FROM", split_from)

    return force


def everything(circuit, theta, terms):
    simulator = Simulator(circuit)
    pulled = Terms.of(circuit.pull(Observable.from_mapping(terms)))
    phi, jacobian = circuit.angle_map.linearize(theta)
    over_rotations = sparse.csr_array(np.diag(circuit.moving.astype(float)))
    energy, slope = simulator.energy_and_gradient(phi, pulled)
    return {
        "statevector": simulator.statevector(phi),
        "probabilities": simulator.probabilities(phi),
        "expectation": simulator.expectation(phi, pulled),
        "energy": energy,
        "gradient": slope,
        "full": simulator.full_metric(phi, jacobian),
        "full over rotations": simulator.full_metric(phi, over_rotations),
        "block": simulator.block_metric(phi, jacobian)[0],
        "block over rotations": simulator.block_metric(phi, over_rotations)[0],
        "diag": simulator.block_metric(phi, jacobian, diagonal=True)[0],
        "product": simulator.metric_product(phi, jacobian, np.arange(1.0, 1 + jacobian.shape[1])),
        "block with gradient": simulator.block_metric(phi, jacobian, pulled)[2],
    }


@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize("num_qubits", [6, 7, 8, 9])
def test_results_do_not_depend_on_the_threads(num_qubits, count, threads):
    program = random_program(num_qubits, num_qubits, 40, 4)
    circuit, terms = program.circuit(), random_observable(num_qubits, num_qubits)
    threads(1, split_from=1 << 15)
    expected = everything(circuit, program.theta, terms)
    threads(count)
    assert _threads.splits(2)
    found = everything(circuit, program.theta, terms)
    for name, value in expected.items():
        assert np.allclose(found[name], value, rtol=0, atol=1e-13), name
    truth = program.states(program.theta[None])[0]
    assert dense.same_state(found["statevector"], truth)


def test_work_is_really_shared_out(threads):
    """Nine qubits are eight chunks: with three threads, three of them take part."""
    threads(3)
    seen = set()
    barrier = threading.Barrier(3, timeout=20)

    def kernel(begin, end):
        barrier.wait()  # passes only if three run at the same time
        seen.add(threading.get_ident())
        return begin, end

    assert _threads.split(kernel, 8, 2**9) == [(0, 2), (2, 5), (5, 8)]
    assert len(seen) == 3
    assert threading.get_ident() in seen


@pytest.mark.parametrize("items", [0, 1, 2, 3, 4, 7, 64, 1000])
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_pieces_cover_everything_once(items, count, threads):
    threads(count)
    pieces = _threads.split(lambda begin, end: list(range(begin, end)), items, 2**20)
    assert list(itertools.chain.from_iterable(pieces)) == list(range(items))
    assert len(pieces) == (count if items >= count else 1)


def test_small_states_are_not_shared_out(threads):
    threads(4, split_from=1 << 15)
    assert not _threads.splits((1 << 15) - 1)
    assert _threads.splits(1 << 15)
    assert _threads.split(lambda a, b: (a, b), 100, 1 << 14) == [(0, 100)]


@pytest.mark.parametrize("bad", [0, 1, 2])
def test_an_error_in_a_piece_comes_through(bad, threads):
    threads(3)

    def kernel(begin, end):
        if begin <= 10 * bad < end:
            raise ZeroDivisionError
        return begin

    with pytest.raises(ZeroDivisionError):
        _threads.split(kernel, 30, 2**20)
    assert _threads.split(lambda a, b: a, 30, 2**20) == [0, 10, 20]


def test_calls_together_keep_their_order(threads):
    threads(3)
    barrier = threading.Barrier(3, timeout=20)

    def call(k):
        def run():
            barrier.wait()
            return k

        return run

    assert _threads.together([call(0), call(1), call(2)]) == [0, 1, 2]
    assert _threads.together([lambda: 5]) == [5]


@pytest.mark.parametrize(
    ("setting", "expected"), [("1", 1), ("7", 7), ("0", 1), ("", None), ("many", None), ("-2", None)]
)
def test_the_number_of_threads(setting, expected, monkeypatch):
    monkeypatch.setenv("QNGD_NUM_THREADS", setting)
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {0, 2, 5}, raising=False)
    assert _threads.num_threads() == (3 if expected is None else expected)


def test_blas_keeps_to_one_thread_while_ours_run(threads):
    def counts():
        return [pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]

    threads(2)
    before = counts()
    with _threads.blas_beside(2**20):
        assert counts()
        assert set(counts()) == {1}
    assert counts() == before
    threads(1)
    with _threads.blas_beside(2**20):
        assert counts() == before
