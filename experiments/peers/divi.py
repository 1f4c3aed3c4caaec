"""Divi's gradients and block-diagonal metrics of given circuits, and runs of its QNG, in an environment of its own:
JSON on the standard input and output, for `experiments.peers_agree` and `experiments.divi_rival`.

Each circuit: "gates", of PennyLane's name, wires and angles (parameter, factor, what is added), "theta", and "terms" of
the observable, PennyLane's Pauli words and numbers. Each answer: "gradient" and "metric", a list or the kind of error;
or, where the circuit has a "run" of so many "iterations" with "step_size", "regularization" and "metric"
("fubini-study" or "pullback"), its "losses", "seconds" of the processor, and "error", its kind if there was one.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from typing import Any

import numpy as np
import pennylane as qml
from divi.backends import MaestroSimulator
from divi.qprog import CustomVQA, FubiniStudyMetricEstimator, QNGOptimizer
from scipy.optimize import OptimizeResult


class Asked(QNGOptimizer):
    """Takes no step: keeps the gradient, or the metric, that the program hands to its optimizer."""

    found: Any = None

    def __init__(self, what: str) -> None:
        super().__init__(metric_estimator=FubiniStudyMetricEstimator() if what == "metric" else None)
        self.what = {"gradient": "jac", "metric": "metric_fn"}[what]

    def optimize(self, cost_fn: Any, initial_params: Any = None, callback_fn: Any = None, **given: Any) -> Any:
        theta = np.asarray(initial_params, dtype=float).reshape(-1)
        self.found = given[self.what](theta)
        return OptimizeResult(x=theta, fun=np.zeros(1), nit=1, success=True, message="asked")


def node_of(circuit: dict[str, Any]) -> qml.QNode:
    words = [qml.pauli.string_to_pauli_word(word) for word, _ in circuit["terms"]]
    observable = qml.dot([value for _, value in circuit["terms"]], words)

    @qml.qnode(qml.device("default.qubit", wires=len(circuit["terms"][0][0])))
    def node(theta: Any) -> Any:
        for wire in range(len(circuit["terms"][0][0])):  # Divi takes the observable's wires in the order they are met
            qml.Identity(wires=wire)
        for name, wires, angles in circuit["gates"]:
            getattr(qml, name)(*(factor * theta[k] + shift for k, factor, shift in angles), wires=wires)
        return qml.expval(observable)

    return node


def answer(circuit: dict[str, Any], what: str) -> Any:
    """In the order of theta, with zeros for parameters that the circuit does not have."""
    optimizer, theta = Asked(what), np.array(circuit["theta"])
    try:
        program = CustomVQA(
            node_of(circuit), arg_shapes={"theta": theta.shape}, backend=MaestroSimulator(), optimizer=optimizer,
            max_iterations=1,
        )  # fmt: skip
        order = [int(str(parameter).rsplit("_", 1)[1]) for parameter in program.cost_circuit.parameters]
        program.run(initial_params=theta[None, order], perform_final_computation=False)
    except Exception as error:  # whatever it does not do
        return type(error).__name__
    found = np.asarray(optimizer.found)
    whole = np.zeros(theta.shape * found.ndim)
    whole[np.ix_(*[order] * found.ndim)] = found
    return whole.tolist()


def run(circuit: dict[str, Any]) -> dict[str, Any]:
    asked, theta, error = circuit["run"], np.array(circuit["theta"]), ""
    metric = FubiniStudyMetricEstimator() if asked["metric"] == "fubini-study" else None
    program = CustomVQA(
        node_of(circuit), arg_shapes={"theta": theta.shape}, backend=MaestroSimulator(),
        optimizer=QNGOptimizer(asked["step_size"], asked["regularization"], metric_estimator=metric),
        max_iterations=asked["iterations"],
    )  # fmt: skip
    order = [int(str(parameter).rsplit("_", 1)[1]) for parameter in program.cost_circuit.parameters]
    begin = time.process_time()
    try:
        program.run(initial_params=theta[None, order], perform_final_computation=False)
    except Exception as raised:  # such as an update that is not finite; what it had reached stands
        error = type(raised).__name__
    losses = [float(next(iter(each.values()))) for each in program.losses_history]
    return {"losses": losses, "seconds": time.process_time() - begin, "error": error}


def main() -> None:
    warnings.simplefilter("ignore")
    for circuit in json.load(sys.stdin):
        if "run" in circuit:
            found = run(circuit)
        else:
            found = {what: answer(circuit, what) for what in ("gradient", "metric")}
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
