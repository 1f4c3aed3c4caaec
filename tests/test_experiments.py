"""Every experiment that needs nothing special runs in its --smoke mode."""

from pathlib import Path

import pytest

from tests.forked import Programs

ROOT = Path(__file__).resolve().parent.parent


SMOKES = [
    "noise_floor", "ibm_estimator", "forty_qubits", "bench_exact", "bench_peers", "zoo", "roofline", "auto_shots",
    "qiskit_loops", "objectives", "cvar_portfolio", "wall_time", "starts", "peers_agree", "tutorials", "final_point",
    "cheaper_gradients", "light_cones", "bench_cones", "shots_to_solution", "shots_noisy", "crash_test", "mitigation",
    "molecules", "pauli_ladder", "spin_chains", "noise_levels",
    "ten_minutes", "qaoa_tuning", "shared_parameters", "damping_with_shots",
    "budgets", "killed_sweep", "other_providers", "divi_rival", "chain_minima", "estimators",
]  # fmt: skip


def test_every_command_has_a_smoke_mode_that_is_tried():
    texts = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "experiments").glob("*.py")}
    commands = {name for name, text in texts.items() if '__name__ == "__main__"' in text}
    assert commands - {"index", "bench_report"} == set(SMOKES)  # these two make pages of what is there


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    made = Programs(tmp_path_factory.mktemp("home"))
    yield made
    made.close()


@pytest.mark.parametrize("name", SMOKES)
def test_smoke(name, programs, tmp_path):
    """In a folder of its own, where it leaves its results."""
    if name != "roofline":
        pytest.importorskip("qiskit_aer")
        pytest.importorskip("pennylane")
    if name == "peers_agree":
        pytest.importorskip("qiskit_algorithms")
    if name == "ibm_estimator":
        pytest.importorskip("qiskit_ibm_runtime.executor_estimator")
    if name in ("budgets", "shots_noisy"):
        pytest.importorskip("qiskit_ibm_runtime")
    if name == "killed_sweep":
        pytest.importorskip("distributed")
    code, said = programs.run(f"experiments.{name}", "--smoke", folder=tmp_path)
    assert code == 0, said
    assert list((tmp_path / "results" / name).glob("*.json"))
