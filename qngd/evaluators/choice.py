"""Which evaluator answers for a backend, and with which shots."""

from __future__ import annotations

from typing import Any

from qngd.backends import BackendBase, default, resolve
from qngd.circuit.circuit import Circuit
from qngd.circuit.observable import Observable
from qngd.cvar import CVaR
from qngd.evaluators import light_cone, pauli_propagation
from qngd.evaluators.base import Evaluator
from qngd.evaluators.exact import ExactEvaluator
from qngd.evaluators.job_log import JobLog
from qngd.evaluators.sampled import SampledEvaluator
from qngd.evaluators.tail import ExactTail, check_commuting
from qngd.exact.point import simulator_of
from qngd.measured.cross import CrossMethod, check_cross
from qngd.measured.grouping import Grouping, check_grouping
from qngd.measured.shots import as_rule


def evaluator_for(
    circuit: Circuit,
    target: Observable | CVaR | None,
    backend: Any = None,
    shots: Any = None,
    grouping: Grouping = "qubit-wise",
    cross: CrossMethod = "hadamard",
    job_log: JobLog | None = None,
    stage: int = -1,
) -> Evaluator:
    """What answers a step's questions about this circuit on this backend, and writes its jobs into the log; of a CVaR
    at one stage of its schedule. Where no backend is given, a statevector, or light cones where that does not fit in
    memory and these do.

    Raises:
        BackendError: the backend is unknown, or cannot do what is asked.
        SettingError: `shots` is out of range.
    """
    check_grouping(grouping)
    check_cross(cross)
    if light_cone.is_meant(backend):
        return light_cone.evaluator(circuit, target, shots)
    if (truncation := pauli_propagation.truncation_of(backend)) is not None:
        return pauli_propagation.evaluator(circuit, target, shots, truncation)
    chosen, shots = backend_and_shots(circuit, backend, shots)
    if chosen is None:
        if isinstance(target, CVaR):
            return ExactTail(circuit, target.observable, target.stages[stage])
        if backend is None and not simulator_of(circuit).fits:
            return light_cone.in_place_of_a_state(circuit, target)
        return ExactEvaluator(circuit, target)
    observable, share = (target.observable, target.stages[stage]) if isinstance(target, CVaR) else (target, None)
    if isinstance(target, CVaR):
        check_commuting(target.observable)
    return SampledEvaluator(circuit, observable, chosen, as_rule(shots), grouping, cross, job_log, share)


def backend_and_shots(circuit: Circuit, backend: Any, shots: Any) -> tuple[BackendBase | None, Any]:
    """The backend and the shots that hold for this circuit, the user's word first: where no backend is given, a QNode's
    device; where no shots are, those of the QNode, then those of the backend. None is the embedded exact simulator."""
    if backend is None:
        chosen, own = default(circuit)
    else:
        own = circuit.device_shots
        exact = shots is None and own is None and backend == "statevector"
        chosen = None if exact else resolve(backend)
    shots = own if shots is None else shots
    if chosen is None and shots is not None:
        chosen = resolve("statevector")
    if shots is None and chosen is not None:
        shots = chosen.default_shots
    return chosen, shots
