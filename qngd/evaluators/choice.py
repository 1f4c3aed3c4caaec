"""Which evaluator answers for a backend, and with which shots."""

from __future__ import annotations

from dataclasses import replace

from qngd.backends import default, resolve
from qngd.circuit.circuit import Circuit
from qngd.circuit.observable import Observable
from qngd.cvar import CVaR
from qngd.evaluators import light_cone, pauli_propagation
from qngd.evaluators.base import Evaluator
from qngd.evaluators.exact import ExactEvaluator
from qngd.evaluators.job_log import JobLog
from qngd.evaluators.sampled import SampledEvaluator
from qngd.evaluators.setup import USUAL, Setup
from qngd.evaluators.tail import ExactTail, check_commuting
from qngd.exact.point import simulator_of


def evaluator_for(
    circuit: Circuit,
    target: Observable | CVaR | None,
    setup: Setup = USUAL,
    job_log: JobLog | None = None,
    stage: int = -1,
) -> Evaluator:
    """What answers a step's questions about this circuit by this setup, and writes its jobs into the log; of a CVaR at
    one stage of its schedule. Where no backend is given, a statevector, or light cones where that does not fit in
    memory and these do.

    Raises:
        BackendError: the backend is unknown, or cannot do what is asked.
        SettingError: `shots` is out of range.
    """
    if light_cone.is_meant(setup.backend):
        return light_cone.evaluator(circuit, target, setup.shots)
    if (truncation := pauli_propagation.truncation_of(setup.backend)) is not None:
        return pauli_propagation.evaluator(circuit, target, setup.shots, truncation)
    holding = settled(setup, circuit)
    if holding.backend is None:
        if isinstance(target, CVaR):
            return ExactTail(circuit, target.observable, target.stages[stage])
        if setup.backend is None and not simulator_of(circuit).fits:
            return light_cone.in_place_of_a_state(circuit, target)
        return ExactEvaluator(circuit, target)
    observable, share = (target.observable, target.stages[stage]) if isinstance(target, CVaR) else (target, None)
    if isinstance(target, CVaR):
        check_commuting(target.observable)
    return SampledEvaluator(circuit, observable, holding, job_log, share)


def settled(setup: Setup, circuit: Circuit) -> Setup:
    """The setup with the backend and the shots that hold for this circuit, the user's word first: where no backend is
    given, a QNode's device; where no shots are, those of the QNode, then those of the backend. None is the embedded
    exact simulator, and any other backend a `BackendBase`."""
    if setup.backend is None:
        backend, own = default(circuit)
    else:
        own = circuit.device_shots
        exact = setup.shots is None and own is None and setup.backend == "statevector"
        backend = None if exact else resolve(setup.backend)
    shots = own if setup.shots is None else setup.shots
    if backend is None and shots is not None:
        backend = resolve("statevector")
    if shots is None and backend is not None:
        shots = backend.default_shots
    return replace(setup, backend=backend, shots=shots)
