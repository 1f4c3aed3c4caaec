"""The packages that count as SDKs, with what they stand on."""

SDKS = {
    "autograd", "autoray", "braket", "cirq", "jax", "openfermion", "openqasm3", "pennylane", "pennylane_lightning",
    "qiskit", "qiskit_aer", "qiskit_ibm_runtime", "qiskit_qasm3_import", "tensorflow", "torch",
}  # fmt: skip
