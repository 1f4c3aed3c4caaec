"""Threads that overlap and processes that fork leave nothing behind: no hanging child, no setting of the process."""

import errno
import io
import multiprocessing
import os
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest
import threadpoolctl

import qngd
from qngd._system import threads
from qngd._system.shared import Meanwhile
from tests.strategies import ansatz

QASM = 'OPENQASM 3.0;\ninclude "stdgates.inc";\nqubit[2] q;\ninput float a;\nrx(a) q[0];\ncx q[0], q[1];\n'
WRONG = "OPENQASM 3.0;\nqubit q;\n§\n"

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")


@pytest.fixture
def setting():
    """A setting, and what it is now."""
    now = SimpleNamespace(value=5, made=0)

    def make():
        before = now.value
        now.value, now.made = 1, now.made + 1

        def take_back():
            now.value = before

        return take_back

    return Meanwhile(make), now


def test_the_first_makes_a_setting_and_the_last_takes_it_back(setting):
    """In any order of leaving, for two that overlap, and again afterwards."""
    meanwhile, now = setting
    for round in (1, 2):
        inside, leave = threading.Event(), threading.Event()

        def other(inside=inside, leave=leave):
            with meanwhile:
                inside.set()
                leave.wait(20)

        thread = threading.Thread(target=other)
        with meanwhile:
            thread.start()
            assert inside.wait(20)
        assert now.value == 1
        leave.set()
        thread.join()
        assert (now.value, now.made) == (5, round)


@forks
def test_a_child_of_a_fork_has_no_setting_of_another_thread(setting):
    meanwhile, now = setting
    with meanwhile:
        assert now.value == 1
        child = os.fork()
        if child == 0:
            os._exit(now.value)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 5
    assert now.value == 5


def test_two_overlapping_blas_limits_leave_all_threads():
    def blas():
        pools = threadpoolctl.threadpool_info()
        return [pool["num_threads"] for pool in pools if pool.get("threading_layer") not in (None, "disabled")]

    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        first, second = threads.one_blas_thread(), threads.one_blas_thread()
        first.__enter__()
        second.__enter__()
        assert set(blas()) == {1}
        first.__exit__(None, None, None)
        assert set(blas()) == {1}
        second.__exit__(None, None, None)
        assert set(blas()) == {2}


def sampled(kind):
    """A run whose work is shared out over threads."""
    if kind == "sampled":
        return qngd.expectation(ansatz(3, 1), {"ZZZ": 1.0}, np.full(6, 0.3), shots=50, seed=3).value
    return qngd.expectation(ansatz(15, 1), {"Z" * 15: 1.0}, np.full(30, 0.3)).value


def in_child(kind, found):
    found.put(sampled(kind))


@forks
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@pytest.mark.parametrize("kind", ["sampled", "15 qubits"])
def test_a_forked_child_computes_what_its_parent_does(kind, monkeypatch):
    monkeypatch.setenv("QNGD_NUM_THREADS", "2")
    expected = sampled(kind)  # makes the pool of threads, which the child does not have
    context = multiprocessing.get_context("fork")
    found = context.Queue()
    child = context.Process(target=in_child, args=(kind, found))
    child.start()
    try:
        assert found.get(timeout=60) == expected
    finally:
        child.kill()
        child.join()


def test_openqasm_read_in_threads_leaves_stderr_and_recursion_as_they_were(monkeypatch):
    stderr, depth = io.StringIO(), sys.getrecursionlimit()
    monkeypatch.setattr(sys, "stderr", stderr)
    said = []

    def read(number):
        for _ in range(3):
            if number == 2:
                print("of another thread", file=sys.stderr)
                continue
            try:
                qngd.wrap(QASM if number else WRONG)
            except qngd.CircuitError as error:
                said.append(str(error))

    readers = [threading.Thread(target=read, args=(number,)) for number in range(4)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert sys.stderr is stderr
    assert sys.getrecursionlimit() == depth
    assert stderr.getvalue() == "of another thread\n" * 3
    assert len(said) == 3
    assert set(said) == {said[0]}
    assert "line 3" in said[0]


class Full:
    """A cache of numba's on a disk that is in the way."""

    def __init__(self, error):
        self.error = error

    def fail(self, *_args):
        raise self.error


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "No space left on device"), PermissionError(errno.EACCES, "denied"), EOFError("cut off")],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("where", ["_save_index", "_save_data", "_load_index", "_load_data"])
def test_a_kernel_works_though_its_cache_does_not(where, error, tmp_path, monkeypatch):
    from numba.core.caching import IndexDataCacheFile

    path = tmp_path / "tripling.py"
    source = "from qngd._system.compilation import kernel\n\n\n@kernel\ndef triple(x):\n    return 3 * x\n"
    path.write_text(source, encoding="utf-8")

    def made():
        names = {"__file__": str(path), "__name__": "tripling"}
        exec(compile(source, str(path), "exec"), names)
        return names["triple"]

    assert made()(1.5) == 4.5
    monkeypatch.setattr(IndexDataCacheFile, where, Full(error).fail)
    assert made()(2.5) == 7.5
    assert made()(2) == 6
