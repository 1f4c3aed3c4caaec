"""Running on Qiskit's backends, samplers and estimators.

Templates become circuits of Qiskit, which are compiled and sent; results come back as outcomes. Imports what stands
beside it in `backends`, and Qiskit.
"""

from qngd.backends.qiskit.choice import QiskitSettings, from_name, from_object

__all__ = ["QiskitSettings", "from_name", "from_object"]
