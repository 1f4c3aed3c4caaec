"""How far a run comes on the hydrogen molecule."""

import qngd
from circuits import h2


def error(approx, shots):
    """The energy of where a run with this metric ends, exact, above that of the ground state."""
    problem = h2.problem()
    result = qngd.minimize(
        problem, optimizer=qngd.QNG(approx=approx), shots=shots, backend="statevector", seed=1, max_steps=60
    )
    exact = qngd.expectation(problem.circuit, problem.observable, result.theta, backend="statevector").value
    return exact - problem.reference_energy
