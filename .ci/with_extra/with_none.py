"""No extra: no SDK is there, the main job is done, and what an extra would bring is asked for by its name."""

from importlib.util import find_spec

import qngd

assert not any(map(find_spec, ("qiskit", "pennylane", "cma", "tensorboardX", "mlflow", "distributed")))
circuit = qngd.CircuitBuilder(2)
circuit.ry(circuit.parameter("a"), 0).cx(0, 1)
found = qngd.minimize(circuit, {"ZZ": 1.0, "XX": 0.5}, [0.3], shots=200, seed=1, max_steps=3)
found.plot().savefig("convergence.png")
found.report("page.html")
for extra, ask in {
    "qiskit": lambda: qngd.minimize(circuit, {"ZZ": 1.0}, [0.3], backend="aer", shots=100),
    "pennylane": lambda: qngd.minimize(circuit, {"ZZ": 1.0}, [0.3], backend="default.qubit", shots=100),
    "cma": lambda: qngd.minimize(circuit, {"ZZ": 1.0}, [0.3], optimizer="cma-es"),
    "tensorboard": lambda: qngd.loggers.TensorBoard("logs"),
    "mlflow": lambda: qngd.loggers.MLflow("experiment"),
}.items():
    try:
        ask()
    except (ImportError, qngd.QngdError) as error:
        said = str(error)
    else:
        said = "nothing was missing"
    assert f"qngd[{extra}]" in said or f".[{extra}]" in said, f"{extra}: {said}"
