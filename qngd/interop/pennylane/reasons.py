"""Why a PennyLane operation is not a unitary gate on qubits with a fixed meaning."""

from __future__ import annotations

import pennylane as qml
from pennylane import operation
from pennylane.operation import Channel, Operator
from pennylane.ops.mid_measure import MidMeasure, PauliMeasure
from pennylane.ops.op_math import Conditional
from pennylane.pulse import ParametrizedEvolution

# PennyLane 0.46 has none any more.
_CONTINUOUS = tuple(getattr(operation, name) for name in ("CVOperation", "CVObservable") if hasattr(operation, name))


def reason_of(op: Operator) -> str | None:
    """Why an operation is not a unitary gate on qubits, and what to do; None if it may be one."""
    if isinstance(op, (MidMeasure, PauliMeasure)):
        if getattr(op, "reset", False):
            return "a reset in the circuit is not unitary; use a fresh wire instead"
        return (
            "measurements in the middle of a circuit are not supported; measure at the end, or apply "
            "qml.defer_measurements to the QNode"
        )
    if isinstance(op, Conditional):
        return (
            "gates conditioned on a measurement are not supported; use qml.ctrl, or apply "
            "qml.defer_measurements to the QNode"
        )
    if isinstance(op, (Channel, qml.QubitDensityMatrix)):
        return (
            "noise channels and mixed states are not unitary; leave them out of the circuit, and give the noise with "
            "the device, as in backend=qml.noise.add_noise(device, noise_model)"
        )
    if isinstance(op, _CONTINUOUS):
        return "it acts on continuous variables, not on qubits"
    if type(op).__module__.startswith("pennylane.ops.qutrit"):
        return "it acts on qutrits, not on qubits"
    if type(op).__name__ in ("Allocate", "Deallocate"):
        return "wires allocated on the fly are not supported; give the circuit work wires of its own"
    if isinstance(op, ParametrizedEvolution):
        return (
            "a pulse, the evolution under a Hamiltonian that changes with time, is no product of Pauli rotations; "
            "write it as a product of short steps of qml.evolve(operator, t)"
        )
    if isinstance(op, qml.QDrift) and op.hyperparameters["seed"] is None:
        return (
            "it draws its terms at random, others at every run, so that there is no one circuit; give it a seed, "
            "qml.QDrift(…, seed=1)"
        )
    return None
