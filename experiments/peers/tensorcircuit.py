"""TensorCircuit-ng on JAX, everything jitted, complex128. Its qubit 0 is the highest bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
import tensorcircuit as tc
from tensorcircuit import experimental

from experiments.peers.protocol import Work, brickwork, ising, ladder, low_probabilities, serve

Gates = Callable[[int, int], Iterator[tuple[str, tuple[int, ...], int]]]

tc.set_backend("jax")
tc.set_dtype("complex128")
jax.devices()  # JAX starts here, so that this counts among the imports


def circuit_at(theta: jax.Array, num_qubits: int, layers: int, gates: Gates = ladder) -> tc.Circuit:
    circuit = tc.Circuit(num_qubits)
    for name, qubits, parameter in gates(num_qubits, layers):
        if parameter >= 0:
            getattr(circuit, name)(*qubits, theta=theta[parameter])
        else:
            circuit.cnot(*qubits)
    return circuit


def state(num_qubits: int, layers: int) -> Work:
    run = tc.backend.jit(lambda theta: circuit_at(theta, num_qubits, layers).state())
    return lambda theta: low_probabilities(np.asarray(run(theta)), qubit_0_is_lowest=False)


def gradient(num_qubits: int, layers: int) -> Work:
    def energy(theta: jax.Array) -> jax.Array:
        circuit = circuit_at(theta, num_qubits, layers)
        total = 0.0
        for coefficient, letters, qubits in ising(num_qubits):
            total += coefficient * jnp.real(circuit.expectation_ps(**{letters[0].lower(): list(qubits)}))
        return total

    run = tc.backend.jit(tc.backend.value_and_grad(energy))
    return lambda theta: np.asarray(run(theta)[1])


def qng(num_qubits: int, layers: int) -> Work:
    """Its documented function for the metric, without the 1e-4·I that it adds by default."""
    metric = experimental.qng(lambda theta: circuit_at(theta, num_qubits, layers).state(), postprocess=None)
    run = tc.backend.jit(metric)
    return lambda theta: np.asarray(run(theta)).real


def jacfwd(num_qubits: int, layers: int) -> Work:
    """The same written out: forward-mode Jacobian with real parameters, and one product."""

    def psi(theta: jax.Array) -> jax.Array:
        return circuit_at(theta, num_qubits, layers).state()

    def metric(theta: jax.Array) -> jax.Array:
        rows = jax.jacfwd(psi)(theta).T
        overlaps = rows.conj() @ psi(theta)
        return jnp.real(rows.conj() @ rows.T - jnp.outer(overlaps, overlaps.conj()))

    run = jax.jit(metric)
    return lambda theta: np.asarray(run(theta))


def _cone_energy(theta: jax.Array, num_qubits: int, layers: int) -> jax.Array:
    """Of the shallow ansatz, term by term in its light cone."""
    circuit = circuit_at(theta, num_qubits, layers, brickwork)
    total = 0.0
    for coefficient, letters, qubits in ising(num_qubits):
        term = circuit.expectation_ps(**{letters[0].lower(): list(qubits)}, enable_lightcone=True)
        total += coefficient * jnp.real(term)
    return total


def cone_energy(num_qubits: int, layers: int) -> Work:
    run = tc.backend.jit(lambda theta: _cone_energy(theta, num_qubits, layers))
    return lambda theta: float(run(theta))


def cone_gradient(num_qubits: int, layers: int) -> Work:
    run = tc.backend.jit(tc.backend.value_and_grad(lambda theta: _cone_energy(theta, num_qubits, layers)))
    return lambda theta: np.asarray(run(theta)[1])


METHODS = {
    "cone_energy": cone_energy,
    "cone_gradient": cone_gradient,
    "state": state,
    "gradient": gradient,
    "qng": qng,
    "jacfwd": jacfwd,
}

if __name__ == "__main__":
    serve(METHODS)
