"""Trying again, and one number of shots for a job: what every provider's backend uses."""

import math
import types

import numpy as np
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from qngd.backends.retry import Retry, http_status, speaks_of_the_way
from qngd.backends.shots import equal_shots
from qngd.errors import BackendError, SettingError
from tests.strategies import examples


class Naps(list):
    """Seconds slept, without sleeping."""

    def __call__(self, seconds):
        self.append(seconds)


class Provider:
    """Fails with each of `errors` in turn, then answers."""

    def __init__(self, *errors):
        self.errors = list(errors)
        self.calls = 0

    def __call__(self):
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


class OfTheProvider(Exception):
    pass


def with_status(status):
    error = OfTheProvider("the server said no")
    error.status_code = status
    return error


def wrapped_from_none(inner):
    """As IBM's service raises: the HTTP error is only in the context."""
    try:
        try:
            raise inner
        except Exception:
            raise RuntimeError("failed to run the program") from None
    except RuntimeError as error:
        return error


TRANSIENT = {
    "connection": ConnectionResetError("reset"),
    "timeout": TimeoutError("slow"),
    "requests": requests.exceptions.ConnectionError("no route"),
    "too many requests": with_status(429),
    "unavailable": with_status(503),
    "wrapped": wrapped_from_none(with_status(502)),
}
PERMANENT = {
    "refused": ValueError("bad circuit"),
    "unauthorized": with_status(401),
    "not found": with_status(404),
    "file": FileNotFoundError("no such file"),
    "wrapped": wrapped_from_none(with_status(400)),
}


@pytest.mark.parametrize("error", TRANSIENT.values(), ids=TRANSIENT)
def test_transient_failures_are_tried_again_with_backoff(error):
    naps = Naps()
    provider = Provider(error, error)
    assert Retry(sleep=naps).call(provider, "x failed") == "answer"
    assert provider.calls == 3
    assert naps == [1.0, 4.0]


@pytest.mark.parametrize("error", PERMANENT.values(), ids=PERMANENT)
def test_permanent_failures_end_at_once_with_what_the_provider_said(error):
    naps = Naps()
    provider = Provider(error)
    with pytest.raises(BackendError, match=f"^x failed: {type(error).__name__}: ") as caught:
        Retry(sleep=naps).call(provider, "x failed")
    assert str(error) in str(caught.value)
    assert caught.value.__cause__ is error
    assert provider.calls == 1
    assert naps == []


def test_the_last_attempt_says_how_often_it_was_tried():
    naps = Naps()
    provider = Provider(*[TimeoutError("slow")] * 9)
    with pytest.raises(BackendError, match=r"^x failed \(tried 6 times\): TimeoutError: slow"):
        Retry(retries=5, backoff=(1, 2), sleep=naps).call(provider, "x failed")
    assert provider.calls == 6
    assert naps == [1, 2, 2, 2, 2]


def test_without_retries_nothing_is_tried_again():
    provider = Provider(TimeoutError("slow"))
    with pytest.raises(BackendError, match=r"^x failed: TimeoutError"):
        Retry(retries=0).call(provider, "x failed")
    assert provider.calls == 1


@pytest.mark.parametrize("bug", [TypeError("bug"), KeyError("bug"), ZeroDivisionError("bug"), OfTheProvider("unknown")])
def test_errors_of_unknown_classes_are_failures_too(bug):
    """Providers' errors share no base class, and their code has bugs of its own."""
    with pytest.raises(BackendError, match=f"^x failed: {type(bug).__name__}: ") as caught:
        Retry().call(Provider(bug), "x failed")
    assert caught.value.__cause__ is bug


def test_what_qngd_raises_on_purpose_goes_on_as_it_is():
    mistake = SettingError("shots")
    with pytest.raises(SettingError) as caught:
        Retry().call(Provider(mistake), "x failed")
    assert caught.value is mistake


def test_a_backend_says_what_is_transient():
    naps = Naps()
    retry = Retry(sleep=naps)
    provider = Provider(OfTheProvider("come back later"))
    answer = retry.call(provider, "x failed", is_transient=lambda e: "later" in str(e))
    assert answer == "answer"
    assert naps == [1.0]
    with pytest.raises(BackendError, match="never"):
        retry.call(Provider(OfTheProvider("never")), "x failed")


def test_interruptions_pass():
    with pytest.raises(KeyboardInterrupt):
        Retry().call(Provider(KeyboardInterrupt()), "x failed")


def test_status_is_found_where_each_client_puts_it():
    error = OfTheProvider()
    assert http_status(error) is None
    error.response = types.SimpleNamespace(status_code=503)
    assert http_status(error) == 503
    error.response = {"ResponseMetadata": {"HTTPStatusCode": 429}}
    assert http_status(error) == 429
    assert speaks_of_the_way(error)


@pytest.mark.parametrize("setting", [{"retries": -1}, {"backoff": ()}, {"backoff": (-1.0,)}])
def test_settings_are_checked(setting):
    with pytest.raises(SettingError, match=next(iter(setting))):
        Retry(**setting)


@examples(200)
@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=40))
def test_every_request_gets_its_shots(wanted):
    repetitions = equal_shots(wanted)
    given_shots = repetitions.shots * repetitions.copies
    assert np.all(given_shots >= wanted)
    assert np.all(given_shots - repetitions.shots < wanted)
    assert np.array_equal(np.bincount(repetitions.rows, minlength=len(wanted)), repetitions.copies)
    # one more than asked is rounding; otherwise the excess stays below what one number for all would cost
    assert given_shots.sum() <= max(wanted) * len(wanted)


@pytest.mark.parametrize(
    ("wanted", "shots", "copies"),
    [
        ([1000] * 3, 1000, [1, 1, 1]),
        ([4000, 1000, 2000], 1000, [4, 1, 2]),
        ([1000, 980, 990], 1000, [1, 1, 1]),
        ([], 0, []),
    ],
)
def test_equal_shots(wanted, shots, copies):
    repetitions = equal_shots(wanted)
    assert repetitions.shots == shots
    assert repetitions.copies.tolist() == copies


@examples(100)
@given(st.lists(st.integers(1, 200), min_size=1, max_size=12), st.integers(0, 400), st.integers(20, 300))
def test_no_division_costs_less(wanted, start, most):
    """By trying every unit there is."""
    found = equal_shots(wanted, most, start)

    def cost(unit: int) -> int:
        return sum(math.ceil(number / unit) for number in wanted) * (unit + start)

    assert cost(found.shots) == found.copies.sum() * (found.shots + start)
    assert cost(found.shots) <= 1.02 * min(cost(unit) for unit in range(1, min(max(wanted), most) + 1))
    assert cost(found.shots) <= min(cost(-(-max(wanted) // k)) for k in range(math.ceil(max(wanted) / most), 40))


def test_few_shots_are_rounded_up_and_not_run_by_many_circuits():
    wanted = [10, 12, 15, 18, 20, 22, 25, 30, 35, 40] * 2 + [10, 20, 30]
    assert equal_shots(wanted).copies.sum() < 1.7 * len(wanted)
    assert equal_shots(wanted, start=100).copies.tolist() == [1] * len(wanted)
    assert equal_shots(wanted, start=0).shots == 1  # where only shots cost, nothing is rounded up


@examples(100)
@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=40), st.integers(1, 10**5))
def test_no_circuit_takes_more_shots_than_are_allowed(wanted, most):
    repetitions = equal_shots(wanted, most)
    assert repetitions.shots <= most
    assert np.all(repetitions.shots * repetitions.copies >= wanted)


def test_uneven_shots_stay_close_to_what_was_asked():
    rng = np.random.default_rng(0)
    wanted = rng.integers(300, 9000, 60)
    repetitions = equal_shots(wanted)
    assert (repetitions.shots * repetitions.copies).sum() < 1.06 * wanted.sum()
