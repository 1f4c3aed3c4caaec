"""What cannot be meant is refused by name before anything is spent: no argument of the solver's ends in Python's own
words."""

from pathlib import Path

import numpy as np
import pytest

import qngd
from qngd import baselines, damping, refresh, step
from qngd.evaluators.exact import ExactEvaluator
from tests.strategies import ansatz

CIRCUIT, TERMS = ansatz(2, 1), {"ZZ": 1.0, "XI": 0.5}
THETA = np.array([0.3, -0.2, 0.5, 0.9])
RULE, NAN, INF = step.CurvatureRate(), float("nan"), float("inf")
NO_NUMBER = ["0.1", None, True, [0.1], np.array([0.1, 0.2]), 1j, {"a": 1}, object, NAN]


def minimize(**how):
    return qngd.minimize(CIRCUIT, TERMS, THETA, **how)


ARGUMENTS = {
    "optimizer": [3, "QNGG", "newton", qngd.QNG, baselines.Adam, {"learning_rate": 0.1}, RULE, [], "gd"],
    "max_steps": [2.5, -1, "10", True, NAN, INF, [3], 1j, np.array([1, 2])],
    "tol": [*NO_NUMBER, -1e-9, INF],
    "gtol": [*NO_NUMBER, -1e-9, INF],
    "target": ["low", [1.0], True, NAN, -INF, 1j],
    "seed": ["1", 1.5, -1, True, NAN, [1], np.random.default_rng(0)],
    "final_shots": [0, -1, 2.5, "many", True, [100], 1000],
    "callback": ["print", 3, [print], {}],
    "run_dir": [3, True, ["a"], b"\xff", object()],
    "budget": [100, {"shots": 100}, "100", True, [1], qngd.Budget],
    "state": [3, "last", THETA, {}, True],
    "shots": ["many", -1, 0, 2.5, NAN, True, [100], qngd.AutoShots],
    "grouping": ["qubitwise", 3, None, [], True],
    "cross": ["hadamar", 3, None, [], True],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in ARGUMENTS.items() for value in values])
def test_arguments_of_minimize(name, value, monkeypatch):
    monkeypatch.setattr(ExactEvaluator, "evaluate", None)  # nothing is asked
    with pytest.raises(qngd.SettingError, match=name):
        minimize(**{name: value})


SETTINGS = {
    qngd.Budget: {},
    qngd.Prices: {},
    qngd.QNG: {},
    step.FixedRate: {"learning_rate": 0.1},
    step.DecayingRate: {"initial": 0.1},
    step.Momentum: {"learning_rate": 0.1},
    step.CurvatureRate: {},
    step.AlignedMomentum: {},
    step.TrustRegion: {},
    step.QuasiNewton: {},
    step.Adaptive: {},
    step.Armijo: {},
    step.ConjugateDirections: {},
    damping.Absolute: {"value": 0.1},
    damping.Relative: {"value": 0.1},
    damping.SpectralCutoff: {"value": 0.1},
    damping.SignalToNoise: {},
    damping.NoiseBound: {},
    damping.UnitDiagonal: {},
    damping.Shrinkage: {},
    refresh.Refresh: {},
    baselines.GradientDescent: {"learning_rate": 0.1},
    baselines.Adam: {},
    baselines.SPSA: {},
    baselines.SciPy: {},
    qngd.AutoShots: {},
    qngd.TargetError: {"energy": 0.1},
}
OPTIONAL = {  # None is the default
    "jobs", "circuits", "shots", "approx", "damping", "step", "refresh", "a", "total", "gradient",
    "energy_share", "minimum", "start", "seconds", "money", "wall", "prices", "seconds_per_shot",
}  # fmt: skip


def settings():
    for kind, needed in SETTINGS.items():
        for field, known in kind.__dataclass_fields__.items():
            name = field.lstrip("_")
            for value in ["x", True, [0.1], np.array([0.1, 0.2]), 1j, {"a": 1}, object, NAN, -1, None]:
                optional = name in OPTIONAL or known.default is None or (kind, name) == (qngd.QNG, "learning_rate")
                is_fine = (
                    (value is None and optional)
                    or (name == "currency" and isinstance(value, str))
                    or (name == "from_identity" and isinstance(value, bool))
                    or (name == "options" and isinstance(value, dict))
                )
                if not is_fine:
                    yield pytest.param(kind, {**needed, name: value}, name, id=f"{kind.__name__}-{name}-{value!r:.20}")


@pytest.mark.parametrize(("kind", "how", "name"), list(settings()))
def test_settings_of_everything(kind, how, name):
    """Every field of every setting, with what is no number, no rule and no word that it knows."""
    with pytest.raises(qngd.SettingError, match="damping" if name == "value" else name):
        kind(**how)


SEEDS = ["1", 1.5, -1, True, NAN, [1], np.random.default_rng(0)]


@pytest.mark.parametrize("shots", [None, 10])
@pytest.mark.parametrize("seed", SEEDS)
def test_seeds(seed, shots):
    calls = [
        lambda: qngd.expectation(CIRCUIT, TERMS, THETA, seed=seed, shots=shots),
        lambda: qngd.gradient(CIRCUIT, TERMS, THETA, seed=seed, shots=shots),
        lambda: qngd.metric_tensor(CIRCUIT, THETA, seed=seed, shots=shots, approx="qn-spsa"),
        lambda: qngd.sample(CIRCUIT, THETA, seed=seed, shots=10),
    ]
    for call in calls:
        with pytest.raises(qngd.SettingError, match="seed must be a whole number"):
            call()


@pytest.mark.parametrize("steps", [2.5, -1, "10", None, True, NAN])
def test_the_steps_of_a_price(steps):
    with pytest.raises(qngd.SettingError, match="steps must be a whole number"):
        qngd.cost(CIRCUIT, TERMS, THETA, steps=steps)


@pytest.mark.parametrize(
    ("how", "name"),
    [
        ({"name": 3}, "name"), ({"unit": None}, "unit"), ({"reference_energy": "low"}, "reference_energy"),
        ({"reference_energy": NAN}, "reference_energy"), ({"reference_energy": [1.0]}, "reference_energy"),
    ],
)  # fmt: skip
def test_problems(how, name):
    with pytest.raises(qngd.SettingError, match=name):
        qngd.Problem(CIRCUIT, TERMS, THETA, **how)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: minimize(optimizer="adm"), "'adm' is none of qng, adam.* Did you mean 'adam'?"),
        (lambda: minimize(optimizer="BFGSS"), "Did you mean 'bfgs'?"),
        (lambda: minimize(optimizer=qngd.QNG), r"write QNG\("),
        (lambda: minimize(optimizer="gd"), r"GradientDescent\(0.1\)"),
        (lambda: minimize(budget=100), r"budget=qngd.Budget\(shots="),
        (lambda: minimize(grouping="comuting"), "Did you mean 'commuting'?"),
        (lambda: minimize(cross="hadamar"), "Did you mean 'hadamard'?"),
        (lambda: qngd.QNG(approx="blockdiag"), "Did you mean 'block-diag'?"),
        (lambda: qngd.metric_tensor(CIRCUIT, THETA, approx="Full"), "Did you mean 'full'?"),
        (lambda: qngd.QNG(step=step.TrustRegion), r"write TrustRegion\("),
        (lambda: qngd.QNG(damping=damping.Relative), r"write Relative\("),
        (lambda: baselines.SciPy("l-bfgs-b"), "Did you mean 'L-BFGS-B'?"),
        (lambda: minimize(state=minimize(max_steps=0)), "state=result.state"),
    ],
)
def test_what_to_write_instead(call, words):
    with pytest.raises(qngd.SettingError, match=words):
        call()


@pytest.mark.parametrize("name", ["QNG", "adam", "Adam", "spsa", "COBYLA", "l-bfgs-b", "nelder-mead"])
def test_names_of_optimizers(name):
    assert minimize(optimizer=name, max_steps=2, tol=0, seed=1).steps == 2


def test_numbers_of_numpy_are_numbers():
    one = minimize(
        max_steps=np.int64(3), tol=np.float32(0.0), seed=np.uint8(4), shots=50, optimizer=qngd.QNG(np.float32(0.5))
    )
    assert (one.steps, one.state.seed) == (3, 4)
    assert minimize(max_steps=3.0, tol=0).steps == 3
    assert qngd.Budget(shots=1e6).shots == 1_000_000


def test_a_run_dir_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(qngd.QngdError, match="run_dir: cannot write"):
        minimize(run_dir=tmp_path / "file")
    folder = Path(tmp_path / "run")
    minimize(run_dir=folder, max_steps=2)
    (folder / "run.sqlite").write_bytes(b"no database")
    with pytest.raises(qngd.QngdError, match=r"run_dir: .*run\.sqlite is damaged"):
        minimize(run_dir=folder, max_steps=2)


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        ({"Z": 1.0}, r"acts on 1 qubit, the circuit has 2; .*'IZ' in the place of 'Z'"),
        (
            {"ZZZ": 1.0},
            "3 qubits, the circuit has 2; write one letter for each qubit, the rightmost for qubit 0",
        ),
        ({"ZZ": 1.0, "X": 0.5}, "'X' has 1 letter and not 2; write one for each qubit, the rightmost for qubit 0"),
    ],
)
def test_labels_of_another_length(terms, words):
    with pytest.raises(qngd.ObservableError, match=words):
        qngd.minimize(CIRCUIT, terms, THETA)


def test_too_few_numbers_say_whose_they_are():
    circuit = qngd.CircuitBuilder(1)
    circuit.ry(circuit.parameter("polar"), 0).rz(circuit.parameter("azimuth"), 0)
    with pytest.raises(qngd.ParameterError, match=r"shape \(2,\), one number each for polar, azimuth; got \(1,\)"):
        qngd.expectation(circuit, {"Z": 1.0}, [0.3])
