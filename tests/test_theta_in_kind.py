"""Parameters of named parameters as torch tensors and JAX arrays: taken, and returned in kind."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector

import qngd
from tests import fake_torch

TERMS = {"ZI": 1.0, "IX": 0.5}
THETA = np.array([0.3, 0.8])


def qiskits():
    t = ParameterVector("t", 2)
    circuit = QuantumCircuit(2)
    circuit.ry(t[0], 0)
    circuit.cx(0, 1)
    circuit.rx(2 * t[1], 1)
    return circuit


def ours():
    circuit = qngd.CircuitBuilder(2)
    a, b = circuit.parameters("a", "b")
    return circuit.ry(a, 0).cx(0, 1).rx(2 * b, 1)


PROGRAM = """OPENQASM 3.0; include "stdgates.inc"; input float a; input float b; qubit[2] q;
ry(a) q[0]; cx q[0], q[1]; rx(2*b) q[1];"""
CIRCUITS = pytest.mark.parametrize("circuit", [qiskits(), ours(), PROGRAM], ids=["qiskit", "builder", "openqasm"])


def check(circuit, theta):
    """Every function takes it, and it comes back as it was given."""
    energy = qngd.expectation(circuit, TERMS, THETA).value
    assert qngd.expectation(circuit, TERMS, theta).value == pytest.approx(energy, abs=1e-6)
    assert np.asarray(qngd.metric_tensor(circuit, theta)).shape == (2, 2)
    seen = []
    result = qngd.minimize(circuit, TERMS, theta, max_steps=3, tol=0, callback=seen.append)
    state, info = qngd.QNG().init(asked := qngd.evaluator(circuit, TERMS, theta)), None
    for _ in range(3):
        state, info = qngd.QNG().step(asked, state)
    for found in (result.theta, seen[-1].theta, info.theta):
        assert (type(found), found.dtype, found.shape) == (type(theta), theta.dtype, theta.shape)
        assert getattr(found, "requires_grad", None) == getattr(theta, "requires_grad", None)
        assert qngd.expectation(circuit, TERMS, found).value == pytest.approx(result.energy, abs=1e-6)


@pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="the real torch is tested")
@CIRCUITS
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("requires_grad", [True, False])
def test_tensors_with_a_stand_in(monkeypatch, circuit, dtype, requires_grad):
    torch = fake_torch.installed(monkeypatch)
    check(circuit, torch.tensor(THETA, dtype=getattr(torch, dtype), requires_grad=requires_grad))


@pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="the real torch is tested")
def test_a_mapping_keeps_the_kind_of_each_entry(monkeypatch):
    torch = fake_torch.installed(monkeypatch)
    circuit = qiskits()
    vector = circuit.parameters[0].vector
    found = qngd.minimize(circuit, TERMS, {vector: torch.tensor(THETA)}, max_steps=2).theta
    assert isinstance(found[vector], fake_torch.Tensor)
    mixed = qngd.minimize(ours(), TERMS, {"a": torch.tensor(0.3), "b": 0.8}, max_steps=2).theta
    assert isinstance(mixed["a"], fake_torch.Tensor)
    assert isinstance(mixed["b"], float)


@CIRCUITS
@pytest.mark.parametrize("requires_grad", [True, False])
def test_tensors_of_torch(circuit, requires_grad):
    torch = pytest.importorskip("torch")
    for dtype in (torch.float32, torch.float64):
        check(circuit, torch.tensor(THETA, dtype=dtype, requires_grad=requires_grad))
    check(circuit, torch.nn.Parameter(torch.tensor(THETA)))


@CIRCUITS
def test_arrays_of_jax(circuit):
    jnp = pytest.importorskip("jax.numpy")
    check(circuit, jnp.array(THETA))


def test_what_jax_traces_is_refused():
    jax = pytest.importorskip("jax")
    with pytest.raises(qngd.ParameterError, match="traced by JAX"):
        jax.grad(lambda theta: qngd.expectation(ours(), TERMS, theta).value)(jax.numpy.array(THETA))
