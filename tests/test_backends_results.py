"""What providers return, in the formats of many of them: read rightly, or refused by name."""

import copy
import types

import numpy as np
import pytest
from qiskit.primitives import BitArray, StatevectorEstimator, StatevectorSampler
from qiskit.primitives.containers import DataBin
from qiskit.result import Result
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel, ReadoutError

import qngd
from qngd.backends.results import Unreadable, check_bounds, estimates, samples, standard_errors, tally
from qngd.backends.tallies import merged
from qngd.errors import BackendError
from qngd.measured.covariances import covariance
from qngd.measured.outcomes import Counts, Means
from tests import dense
from tests.known_outcomes import template_of
from tests.qiskit_devices import SERIAL, Counting, Unreliable
from tests.strategies import Sketch, ansatz

QUBITS = np.array([0, 2, 3])  # of five


def read(found, shots=100):
    """Counts by basis index of all five qubits."""
    outcome = tally(found, QUBITS, 5, shots).outcome(template_of(5, [0b1, 0b100, 0b1000], [1, 1, 1]))
    assert isinstance(outcome, Counts)
    return dict(zip(outcome.bits[:, 0].tolist(), outcome.counts.tolist(), strict=True))


# --- formats of counts: bit 0 is qubit 0, bit 1 qubit 2, bit 2 qubit 3 ---

SAME = {
    "bit strings": {"001": 30, "110": 70},
    "spaces between registers": {"0 01": 30, "1 10": 70},
    "hex, as Aer's": {"0x1": 30, "0x6": 70},
    "hex of full length": {"0x001": 30, "0X6": 70},
    "binary": {"0b1": 30, "0b110": 70},
    "integers": {1: 30, 6: 70},
    "NumPy's integers": {np.int64(1): np.int32(30), np.uint8(6): np.uint64(70)},
    "two ways for one outcome": {"001": 10, 1: 20, "110": 70},
    "floats that are whole": {"001": 30.0, "110": 69.99999999},
    "outcomes that were not seen": {"001": 30, "110": 70, "111": 0},
}


@pytest.mark.parametrize("found", SAME.values(), ids=SAME)
def test_counts_in_all_formats(found):
    assert read(found) == {0b00001: 30, 0b01100: 70}


def test_counts_of_rounded_probabilities_miss_a_few_shots():
    """As IonQ's do: eight outcomes of 12.5 shots each."""
    assert sum(read(dict.fromkeys(range(8), 12)).values()) == 96


WRONG = {
    "nothing": (None, "None where a mapping from bit strings to counts was expected"),
    "a list": (["001"] * 100, "a list where a mapping"),
    "no counts": ({}, "no counts where 100 shots were asked for"),
    "probabilities": ({"001": 0.3, "110": 0.7}, "probabilities, which add up to 1, where counts of 100 shots"),
    "one probability": ({"001": 1.0}, "probabilities"),
    "a quasi-distribution": ({1: 0.5, 6: 0.6, 0: -0.1}, "probabilities"),
    "a negative count": ({"001": -5, "110": 105}, "the negative count -5 of '001' where counts of 100 shots"),
    "negative as a float": ({"001": -5.0, "110": 105.0}, "the negative count -5"),
    "half": ({"001": 20, "110": 30}, "50 of 100 shots"),
    "tenfold": ({"001": 300, "110": 700}, "1000 shots where 100 were asked for"),
    "half, all different": (dict.fromkeys(range(8), 6), "48 of 100 shots"),
    "short": ({"01": 30, "110": 70}, "the outcome '01' of 2 bits where outcomes of 3 bits were expected"),
    "all short": ({"01": 30, "10": 70}, "the outcome '01' of 2 bits"),
    "long": ({"0001": 30, "110": 70}, "the outcome '0001' of 4 bits"),
    "letters": ({"0a1": 30, "110": 70}, "the outcome '0a1' where outcomes of 3 bits were expected, 0 and 1 alone"),
    "dits": ({"021": 30, "110": 70}, "the outcome '021'"),
    "empty text": ({"": 100}, "the outcome '' of 0 bits"),
    "a large integer": ({1: 30, 8: 70}, "the outcome 8 where outcomes of 3 bits were expected, of 0 to 7"),
    "a negative integer": ({-1: 30, 1: 70}, "the outcome -1"),
    "large hex": ({"0x1": 30, "0x8": 70}, "the outcome '0x8'"),
    "hex with other letters": ({"0xg": 100}, "the outcome '0xg'"),
    "an eigenvalue": ({1.0: 30, -1.0: 70}, "the outcome 1.0 where outcomes of 3 bits were expected, such as '000'"),
    "a tuple": ({(0, 0, 1): 100}, r"the outcome \(0, 0, 1\)"),
    "a truth value": ({True: 100}, "the outcome True"),
    "NaN": ({"001": float("nan"), "110": 70}, "nan as the count of '001' where counts of 100 shots"),
    "infinite": ({"001": float("inf")}, "inf as the count"),
    "text": ({"001": "30", "110": "70"}, "'30' as the count"),
    "none of it": ({"001": None, "110": 70}, "None as the count"),
    "complex": ({"001": 100 + 0j}, r"\(100\+0j\) as the count"),
}  # fmt: skip


@pytest.mark.parametrize(("found", "said"), WRONG.values(), ids=WRONG)
def test_other_counts_are_refused_by_name(found, said):
    with pytest.raises(Unreadable, match=said):
        tally(found, QUBITS, 5, 100)


# --- samples and expectation values ---


def test_samples_are_read_shot_by_shot():
    bits = np.array([[1, 0, 0]] * 30 + [[0, 1, 1]] * 70)
    for found in (bits, bits.astype(bool), bits.astype(float), bits.tolist(), bits.astype(np.uint8)):
        got, lost = samples(found, QUBITS, 5, 100)
        assert (got.bits[:, 0].tolist(), got.weights.tolist(), lost) == ([0b00001, 0b01100], [30, 70], 0)
    one, _ = samples([1, 0, 1, 1], np.array([2]), 5, 4)
    assert (one.bits[:, 0].tolist(), one.weights.tolist()) == ([0, 0b100], [1, 3])


def test_lost_shots_are_left_out():
    bits = np.array([[1.0, 0, 0]] * 30 + [[0, 1, 1]] * 70)
    bits[:5, 1] = np.nan
    found, lost = samples(bits, QUBITS, 5, 100)
    assert (found.shots, found.weights.tolist(), lost) == (95, [25, 70], 5)
    bits[:51] = np.nan
    with pytest.raises(Unreadable, match="51 of 100 shots as lost"):
        samples(bits, QUBITS, 5, 100)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (np.zeros((3, 100)), r"an array of float64 of shape \(3, 100\) where the bits of 100 shots and 3 qubits"),
        (np.zeros((100, 2)), r"an array of shape \(100, 3\)"),
        (np.zeros((50, 3)), "50 of 100 shots"),
        (np.zeros((1000, 3)), "1000 shots where 100"),
        (np.full((100, 3), -1), "-1 where the bits 0 and 1 of 3 qubits were expected; eigenvalues ±1 are not bits"),
        (np.full((100, 3), 0.5), "0.5 where the bits"),
        (np.full((100, 3), 2), "2 where the bits"),
        (["001"] * 100, "array of <U3"),
        (None, "None where the bits of 100 shots"),
        ([[0, 1, 0], [1]], "a list where the bits"),
    ],
)
def test_other_samples_are_refused_by_name(found, said):
    with pytest.raises(Unreadable, match=said):
        samples(found, QUBITS, 5, 100)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([0.1, np.nan], "nan among its numbers"),
        ([0.1, np.inf], "inf among its numbers"),
        ([0.1], r"an array of float64 of shape \(1,\) where real numbers of shape \(2,\) were expected"),
        ([[0.1, 0.2]], r"of shape \(1, 2\)"),
        ([0.1, 0.2j], "a list where real numbers"),
        (["a", "b"], "a list where real numbers"),
        (None, "None where real numbers"),
        ([[0.1], [0.2, 0.3]], "a list where real numbers"),
    ],
)
def test_other_estimates_are_refused_by_name(found, said):
    with pytest.raises(Unreadable, match=said):
        estimates(found, (2,), "numbers")


def test_standard_errors_are_not_negative_and_values_near_their_bounds():
    assert np.isnan(standard_errors([0.1, np.nan], (2,))).any()  # for the caller to judge
    with pytest.raises(Unreadable, match=r"the negative standard error -0\.1"):
        standard_errors([0.1, -0.1], (2,))
    check_bounds(np.array([1.0, -1.6, 3.0]), np.array([0.0, 0.1, 0.3]))  # extrapolated ones leave them
    with pytest.raises(Unreadable, match=r"-2\.1 as the expectation value of a Pauli string"):
        check_bounds(np.array([0.3, -2.1]), np.array([0.1, 0.01]))


# --- mitigated weights ---

ERRORS = [(0.02, 0.05), (0.08, 0.03), (0.01, 0.1)]  # of qubits 0, 1, 2: 0 read as 1, and 1 read as 0


def assignment(errors=ERRORS):
    """A_ij: the probability to read i where j is right."""
    found = np.eye(1)
    for up, down in errors:
        found = np.kron([[1 - up, down], [up, 1 - down]], found)
    return found


class OfMthree(dict):
    """Weights as mthree gives them."""


def repeated_mitigation(shots, times, overhead):
    p = np.array([0.35, 0.05, 0.1, 0.02, 0.2, 0.03, 0.05, 0.2])
    template = template_of(3, [0b001, 0b011, 0b110], [1, -1, 1])
    inverse = np.linalg.inv(assignment())
    rng = np.random.default_rng(shots)
    outcomes = []
    for counts in rng.multinomial(shots, assignment() @ p, times):
        weights = OfMthree(enumerate((inverse @ counts).tolist()))
        weights.mitigation_overhead = overhead
        outcomes.append(tally(weights, np.arange(3), 3, shots).outcome(template))
    signs = np.array([[s * (-1) ** (u & m).bit_count() for m, s in ((1, 1), (3, -1), (6, 1))] for u in range(8)])
    products = np.stack([signs[:, 0] * signs[:, 1], signs[:, 0] * signs[:, 2], signs[:, 1] * signs[:, 2]], axis=1)
    return outcomes, p @ np.hstack([signs, products]), template


@pytest.mark.parametrize("known", [True, False])
def test_mitigated_weights_are_unbiased_and_their_errors_are_bounds(known):
    """Readout errors on three qubits, undone by the inverse of their matrix, which leaves some weights negative."""
    gain = np.abs(np.linalg.inv(assignment())).sum(axis=0).max()
    outcomes, exact, _ = repeated_mitigation(400, 1500, gain**2 if known else 0.0)
    assert all(isinstance(outcome, Means) and outcome.shots == 400 for outcome in outcomes)
    values = np.array([outcome.values for outcome in outcomes])
    spread = values.std(axis=0, ddof=1)
    assert np.all(np.abs(values.mean(axis=0) - exact) < 4.5 * spread / np.sqrt(len(values)))
    errors = np.array([outcome.stderr for outcome in outcomes])
    assert np.all(errors.mean(axis=0) >= 0.97 * spread)
    assert np.all(errors >= 1 / np.sqrt(400) - 1e-12)
    if known:
        assert np.allclose(errors, gain / 20)


def test_a_provider_says_its_overhead():
    class Quasi(dict):
        mitigation_overhead = 4.0

    found = tally(Quasi({"000": 50.5, "011": 49.5}), np.arange(3), 3, 100).outcome(template_of(3, [1], [1]))
    assert found.stderr == pytest.approx([0.2])


def test_the_identity_is_certain_under_any_weights():
    template = template_of(3, [0, 1, 1], [-1, 1, -1])
    found = tally({0: 60.5, 1: 45.2, 2: -5.7}, np.arange(3), 3, 100).outcome(template)
    assert found.values[0] == pytest.approx(-1)
    assert found.values[5] == pytest.approx(-1)  # the product of a string with its negative
    assert found.stderr.astype(bool).tolist() == [False, True, True, True, True, False]


def test_weights_of_a_circuit_that_ran_several_times_add_up():
    parts = [tally(each, np.arange(2), 2, 100) for each in ({"01": 60.5, "10": 39.5}, {"01": 50, "11": 50})]
    found = merged(parts).outcome(template_of(2, [1], [1]))
    assert found.values[0] == pytest.approx((39.5 - 60.5 - 50 - 50) / 200)
    assert found.shots == 200
    whole = merged([tally({"01": 60, "10": 40}, np.arange(2), 2, 100)] * 2).outcome(template_of(2, [1], [1]))
    assert (whole.bits[:, 0].tolist(), whole.counts.tolist()) == ([1, 2], [120, 80])


def test_a_covariance_of_quasi_counts_may_be_indefinite():
    template = template_of(2, [1, 2], [1, 1])
    found = tally({"00": 95.5, "01": 7.25, "10": 7.25, "11": -10.0}, np.arange(2), 2, 100).outcome(template)
    assert np.linalg.eigvalsh(covariance(found, template, np.eye(2)).value)[0] < -0.01


# --- through the devices ---

CIRCUIT, THETA, TERMS = ansatz(2, 1), np.array([0.3, -0.6, 0.9, 0.2]), {"ZZ": 1.0, "XI": 0.5}


def given(counts_of):
    """A plan of `Unreliable`: the counts of each circuit are what `counts_of` makes of them."""

    def change(result):
        made = copy.deepcopy(result)
        for each in made.results:
            each.data.counts = counts_of(each.data.counts)
        return made

    return {"change": change}


def scaled(factor):
    return lambda counts: {key: factor * value for key, value in counts.items()}


@pytest.mark.parametrize(
    ("counts_of", "said"),
    [
        (scaled(0.01), "probabilities, which add up to 1, where counts of 100 shots were expected"),
        (scaled(10), "1000 shots where 100 were asked for"),
        (lambda counts: {"0": 50, "1": 50}, "the outcome '0' of 1 bits where outcomes of 2 bits"),
        (lambda counts: {"zz": 100}, "the outcome 'zz'"),
        (lambda counts: np.array([50, 50]), "an array of int64"),
    ],
)
def test_a_backends_counts_are_checked_before_anything_fills_them_up(counts_of, said):
    """The run is kept; the text names the device, the job and the circuit."""
    device = Unreliable({}, given(counts_of))
    result = qngd.minimize(CIRCUIT, TERMS, THETA, backend=device, shots=100, max_steps=3, seed=1, tol=0)
    assert (result.status, result.steps, result.cost.jobs) == ("failed", 0, 1)
    assert "aer_simulator: job id-of-" in result.message
    assert "(request 0)" in result.message
    with pytest.raises(BackendError, match=said):
        qngd.expectation(CIRCUIT, TERMS, THETA, backend=Unreliable(given(counts_of)), shots=100)


def test_integers_and_a_lost_header_read_as_the_hex_of_aer():
    def stripped(result):
        made = given(lambda counts: {int(key, 16): value for key, value in counts.items()})["change"](result)
        for each in made.results:
            each.header = None
        return made

    energies = [
        qngd.expectation(CIRCUIT, TERMS, THETA, backend=Unreliable(plan), shots=500, seed=3).value
        for plan in ({}, {"change": stripped})
    ]
    assert energies[0] == energies[1]


class Mitigated(Result):
    """A result whose provider undoes readout errors (0.1 and 0.04 on every qubit) in `get_counts`."""

    def get_counts(self, experiment=None):
        counts = super().get_counts(experiment)
        width = len(next(iter(counts)))
        seen = np.zeros(1 << width)
        for bits, count in counts.items():
            seen[int(bits, 2)] = count
        weights = np.linalg.inv(assignment([(0.1, 0.04)] * width)) @ seen
        return {format(k, f"0{width}b"): float(w) for k, w in enumerate(weights)}


class MitigatingDevice(AerSimulator):
    def run(self, circuits, **options):
        result = super().run(circuits, **options).result()
        result.__class__ = Mitigated
        return types.SimpleNamespace(result=lambda: result, job_id=lambda: "m", status=lambda: "DONE")


def test_a_device_that_mitigates_readout_errors():
    """Its weights are fractional and partly negative; energies and gradients are those without the errors."""
    noise = NoiseModel()
    noise.add_all_qubit_readout_error(ReadoutError([[0.9, 0.1], [0.04, 0.96]]))
    device = MitigatingDevice(noise_model=noise, **SERIAL)
    sketch = Sketch(2, 3)
    a, b, c = sketch.t
    circuit = sketch("ry", 0, a)("ry", 1, b)("cx", 0, 1)("rz", 1, a)("rx", 0, c)("ry", 1, c).circuit()
    theta = np.array([0.2, -0.9, 0.4])
    truth = dense.Truth(lambda thetas: np.array([dense.statevector(circuit, t) for t in thetas]), theta, TERMS)
    given_ = {"backend": device, "shots": 2000, "seed": 2}
    energy = qngd.expectation(circuit, TERMS, theta, **given_)
    slope = qngd.gradient(circuit, TERMS, theta, **given_)
    assert abs(energy.value - truth.energy) < 4 * energy.stderr < 0.2
    assert np.all(np.abs(slope.value - truth.gradient) < 4 * slope.stderr)
    metric = qngd.metric_tensor(circuit, theta, **given_)
    assert metric.eigenvalues[0] >= -1e-12
    assert np.all(np.abs(metric.raw - qngd.metric_tensor(circuit, theta).value) <= 4.5 * metric.stderr + 1e-12)
    with pytest.raises(BackendError, match="not samples"):
        qngd.sample(circuit, theta, **given_)


def test_an_indefinite_metric_of_expectation_values_is_projected_and_says_so():
    found = [
        qngd.metric_tensor(CIRCUIT, np.zeros(4), backend=StatevectorEstimator(), shots=10, seed=seed)
        for seed in range(8)
    ]
    assert all(metric.eigenvalues[0] >= -1e-12 for metric in found)
    noted = [metric for metric in found if metric.note]
    assert noted
    assert all("projected" in metric.note and np.linalg.eigvalsh(metric.raw)[0] < 0 for metric in noted)


def answering(native, change):
    """A primitive whose results are changed."""

    class Changed(native):
        def run(self, pubs, **options):
            result = super().run(pubs, **options).result()
            return types.SimpleNamespace(result=lambda: change(result), job_id=lambda: "j", status=lambda: "DONE")

    return Changed()


def of_data(make):
    return lambda result: [types.SimpleNamespace(data=make(each.data)) for each in result]


def bits(array, width):
    return types.SimpleNamespace(meas=BitArray(array, width))


SAMPLERS = {
    "no result": (lambda result: None, "job j returned no result"),
    "a number": (lambda result: 3, "3 where a result per PUB was expected"),
    "no PUBs": (lambda result: [], "0 results for 2 circuits; missing are those of requests 0, 1"),
    "PUBs twice": (lambda result: [*result, *result], "results for 2 circuits"),
    "a V1 result": (lambda result: types.SimpleNamespace(quasi_dists=[{0: 1.0}]), "a SimpleNamespace where"),
    "another register": (of_data(lambda d: DataBin(c=d.meas)), "without data.meas; its data holds c"),
    "no data": (lambda result: [types.SimpleNamespace() for _ in result], "without data.meas; its data holds nothing"),
    "counts": (of_data(lambda d: types.SimpleNamespace(meas=d.meas.get_counts())), "a dict as data.meas where"),
    "half the shots": (of_data(lambda d: bits(d.meas.array[..., :50, :], d.meas.num_bits)), "50 shots of each"),
    "more bits": (of_data(lambda d: bits(d.meas.array, d.meas.num_bits + 1)), "bits of each shot"),
    "another shape": (of_data(lambda d: bits(d.meas.array[None], d.meas.num_bits)), r"bits of shape \(1, "),
}  # fmt: skip


@pytest.mark.parametrize(("change", "said"), SAMPLERS.values(), ids=SAMPLERS)
def test_a_samplers_results_are_checked(change, said):
    with pytest.raises(BackendError, match=rf"Changed: job j returned .*{said.removeprefix('job j returned ')}"):
        qngd.expectation(CIRCUIT, TERMS, THETA, backend=answering(StatevectorSampler, change), shots=100)


def values(**changes):
    return of_data(
        lambda d: types.SimpleNamespace(
            **{"evs": d.evs, "stds": d.stds} | {name: change(d) for name, change in changes.items()}
        )
    )


ESTIMATORS = {
    "NaN": (values(evs=lambda d: d.evs * np.nan), "nan among its expectation values"),
    "infinite": (values(evs=lambda d: d.evs + np.inf), "inf among its expectation values"),
    "counts": (values(evs=lambda d: d.evs * 400), "as the expectation value of a Pauli string, which is between"),
    "complex": (values(evs=lambda d: d.evs + 0j), "an array of complex128"),
    "turned": (values(evs=lambda d: np.stack([d.evs, d.evs])), "where real expectation values of shape"),
    "text": (values(evs=lambda d: "1.0"), "'1.0' where real expectation values"),
    "ragged": (values(evs=lambda d: [[1], [1, 2]]), "a list where real expectation values"),
    "missing": (of_data(lambda d: types.SimpleNamespace(values=d.evs)), "without data.evs; its data holds values"),
    "negative errors": (values(stds=lambda d: d.stds - 0.1), "the negative standard error -0.1"),
    "errors of another shape": (values(stds=lambda d: np.zeros(7)), r"of shape \(7,\) where real standard errors"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "said"), ESTIMATORS.values(), ids=ESTIMATORS)
def test_an_estimators_results_are_checked(change, said):
    with pytest.raises(BackendError, match=rf"Changed: job j returned .*{said}"):
        qngd.expectation(CIRCUIT, TERMS, THETA, backend=answering(StatevectorEstimator, change), shots=100)


@pytest.mark.parametrize("stds", [lambda d: None, lambda d: d.stds * np.nan, lambda d: np.zeros_like(d.stds).tolist()])
def test_an_estimator_that_reports_no_errors_has_those_of_its_precision(stds):
    backend = answering(StatevectorEstimator, values(stds=stds))
    found = qngd.expectation(CIRCUIT, TERMS, THETA, backend=backend, shots=100)
    assert found.stderr == pytest.approx(np.sqrt(1.25) / 10)


def test_a_result_with_nothing_but_counts():
    """As of providers with results of their own: a list, or a dictionary where it is one circuit."""

    class Bare(Counting):
        def run(self, circuits, **options):
            found = super().run(circuits, **options).result().get_counts()
            result = types.SimpleNamespace(get_counts=lambda: found)
            return types.SimpleNamespace(result=lambda: result, job_id=lambda: "b", status=lambda: "DONE")

    for terms in (TERMS, {"ZZ": 1.0}):
        bare, whole = (
            qngd.expectation(CIRCUIT, terms, THETA, backend=d, shots=300, seed=1) for d in (Bare(), Counting())
        )
        assert bare.value == whole.value


def test_a_result_without_any_results_says_the_status():
    """As Braket's are where a task failed."""

    def emptied(result):
        made = copy.copy(result)
        made.results, made.success, made.status = None, False, "FAILED"
        return made

    device = Unreliable({"change": emptied})
    with pytest.raises(BackendError, match=r"returned 0 results for 2 circuits; missing .* requests 0, 1 \(FAILED\)"):
        qngd.expectation(CIRCUIT, TERMS, THETA, backend=device, shots=100)


def test_something_that_is_no_result():
    for found in ({"00": 100}, [{"00": 100}], "done"):
        device = Unreliable({"change": lambda result, found=found: found})
        with pytest.raises(BackendError, match=r"returned .* where a qiskit\.result\.Result was expected"):
            qngd.expectation(CIRCUIT, TERMS, THETA, backend=device, shots=100)
