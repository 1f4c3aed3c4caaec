"""The page that trains by light cones and samples on a fake device of 127 qubits."""

import numpy as np
import pytest

import qngd
from tests.pages import shown


def test_the_page_samples_better_cuts_than_chance(capsys):
    pytest.importorskip("qiskit_aer")
    pytest.importorskip("qiskit_ibm_runtime")
    page = shown("train-here.md")
    edges, cuts = page.edges, np.repeat([page.cut(bits) for bits in page.counts], list(page.counts.values()))
    assert -page.result.energy > 0.7 * len(edges)
    # the samples of 127 qubits have the energy that light cones say, within five standard errors and the bond's share
    error = cuts.std() / np.sqrt(len(cuts))
    assert cuts.mean() == pytest.approx(-page.result.energy, abs=5 * error + 0.02 * len(edges))
    assert page.cut(page.best) > -page.result.energy
    assert f"best of 100: {page.cut(page.best)} of {len(edges)} edges" in capsys.readouterr().out
    # noise or not, the likeliest outcomes of four qubits are the same two
    likely = {bits for bits, _ in page.noisy.most_common(2)}
    assert likely == {format(int(k), "04b") for k in np.argsort(-page.exact)[:2]}


def test_a_result_is_the_start_of_a_run_with_shots():
    """As the page's last lines say, on a few qubits."""
    circuit = qngd.CircuitBuilder(4)
    gamma, beta = circuit.parameters("gamma", "beta")
    for q in range(4):
        circuit.h(q)
    for q in range(3):
        circuit.rzz(gamma, q, q + 1)
    for q in range(4):
        circuit.rx(beta, q)
    cut = {"IIZZ": 0.5, "IZZI": 0.5, "ZZII": 0.5}
    trained = qngd.minimize(circuit, cut, qngd.start.ramp(circuit, cut, backend="light-cone"), backend="light-cone")
    there = qngd.minimize(circuit, cut, trained.theta, backend="statevector", shots=4000, max_steps=2, seed=3)
    assert there.history[0] == pytest.approx(trained.energy, abs=0.1)
    assert there.energy == pytest.approx(trained.energy, abs=0.1)
