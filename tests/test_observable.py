"""Observables: real combinations of Pauli strings."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qngd.circuit.observable import Observable
from qngd.circuit.pauli import PauliStrings
from qngd.errors import ObservableError
from tests.dense import label_matrix, observable_matrix
from tests.strategies import examples, observables, random_labels


def matrix(observable):
    """The matrix that an Observable stands for, its strings' signs included."""
    strings = observable.strings
    rows = zip(observable.coefficients, strings.sign, strings.labels(), strict=True)
    return sum(c * s * label_matrix(label) for c, s, label in rows)


@given(st.integers(1, 5).flatmap(observables))
@examples(30)
def test_a_mapping_is_its_matrix(terms):
    observable = Observable.from_mapping(terms)
    expected = observable_matrix(terms)
    assert np.allclose(matrix(observable), expected, atol=1e-12)
    n = observable.num_qubits
    assert observable.identity_coefficient == pytest.approx(np.trace(expected).real / 2**n, abs=1e-12)
    energies = np.linalg.eigvalsh(expected) - observable.identity_coefficient
    assert np.abs(energies).max() <= observable.norm_bound + 1e-12


def test_the_norm_bound_is_reached_by_commuting_terms():
    observable = Observable.from_mapping({"III": 7.0, "IZZ": -0.5, "ZII": 0.25})
    assert observable.norm_bound == 0.75
    assert np.abs(np.linalg.eigvalsh(matrix(observable)) - 7).max() == pytest.approx(0.75)


def test_equal_strings_are_added_up_with_their_signs():
    strings = PauliStrings.from_labels(["XZ", "YI", "XZ", "XZ", "II"])
    strings = PauliStrings(2, strings.x, strings.z, np.array([1, -1, -1, 1, -1], dtype=np.int8))
    observable = Observable.from_strings(strings, [1.0, 2.0, 0.25, 4.0, 3.0])
    assert len(observable) == 3
    expected = 4.75 * label_matrix("XZ") - 2 * label_matrix("YI") - 3 * np.eye(4)
    assert np.allclose(matrix(observable), expected)
    assert observable.identity_coefficient == -3.0
    assert observable.norm_bound == 6.75


def test_many_qubits():
    labels = random_labels(0, 130, 20)
    observable = Observable.from_mapping({label: k + 1.0 for k, label in enumerate(labels)})
    back = dict(zip(observable.strings.labels(), observable.coefficients, strict=True))
    assert back == {label: k + 1.0 for k, label in enumerate(labels)}


def test_text_shows_labels_and_coefficients():
    assert str(Observable.from_mapping({"XZ": -0.5})) == "-0.5·XZ"


def test_real_coefficients_of_any_number_type_are_taken():
    observable = Observable.from_mapping({"X": np.float32(0.5), "Y": 2, "Z": 1 + 0j, "I": 3 + 1e-14j})
    assert np.allclose(matrix(observable), observable_matrix({"X": 0.5, "Y": 2, "Z": 1, "I": 3}))
    assert observable.coefficients.dtype == float


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        ({}, ["no terms"]),
        ({"XQ": 1.0}, ["'XQ'", "'Q'"]),
        ({"XX": 1.0, "XYZ": 1.0}, ["'XYZ'", "3 letters"]),
        ({"XZ": 0.5j}, ["XZ", "real"]),
        ({"XX": 1.0, "ZY": 1 + 1e-6j}, ["ZY", "Hermitian"]),
        ({"XZ": math.nan}, ["XZ", "nan"]),
        ({"XZ": math.inf}, ["XZ", "inf"]),
        ({3: 1.0}, ["labels", "3"]),
        ({"XZ": "much"}, ["XZ"]),
        ({"XZ": None}, ["XZ"]),
        ({"XZ": [1.0, 2.0]}, ["XZ"]),
    ],
)
def test_what_is_not_an_observable_is_named(terms, words):
    for word in words:
        with pytest.raises(ObservableError, match=word):
            Observable.from_mapping(terms)
