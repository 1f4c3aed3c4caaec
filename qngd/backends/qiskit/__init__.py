"""Running on Qiskit's backends, samplers and estimators."""

from qngd.backends.qiskit.choice import QiskitSettings, from_name, from_object

__all__ = ["QiskitSettings", "from_name", "from_object"]
