"""Grouping against its definition on labels and matrices; measurement bases against matrices."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qngd.circuit.ops import Op
from qngd.circuit.pauli import PauliStrings
from qngd.errors import SettingError
from qngd.measured.basis import diagonalize
from qngd.measured.grouping import group
from tests.clifford_circuits import commuting_strings, matrix_of
from tests.dense import label_matrix
from tests.strategies import examples

GROUPINGS = ["qubit-wise", "commuting"]


def agree(a, b):
    """Whether two labels have the same letter wherever both act."""
    return all("I" in pair or pair[0] == pair[1] for pair in zip(a, b, strict=True))


def commute(a, b):
    """Two labels commute iff they differ on an even number of qubits where both act."""
    differing = [pair for pair in zip(a, b, strict=True) if "I" not in pair and pair[0] != pair[1]]
    return len(differing) % 2 == 0


FITS = {"qubit-wise": agree, "commuting": commute}


def sorted_insertion(labels, weights, fits):
    """Heaviest first (the first of equals first), into the first set that fits."""
    sets = []
    for k in sorted(range(len(labels)), key=lambda k: -abs(weights[k])):
        for members in sets:
            if all(fits(labels[k], labels[j]) for j in members):
                members.append(k)
                break
        else:
            sets.append([k])
    return [sorted(members) for members in sets]


def grouped(labels, weights, grouping):
    return [m.tolist() for m in group(PauliStrings.from_labels(labels), np.array(weights), grouping)]


@st.composite
def weighted_labels(draw):
    n = draw(st.integers(1, 5))
    letters = st.text("IXYZ", min_size=n, max_size=n)
    labels = draw(st.lists(letters, min_size=1, max_size=20, unique=True))
    weights = [draw(st.integers(-6, 6)) / 4 for _ in labels]
    return labels, weights


@pytest.mark.parametrize("grouping", GROUPINGS)
@given(weighted_labels())
@examples(60)
def test_groups_can_be_measured_together_and_hold_every_string_once(grouping, case):
    labels, weights = case
    found = grouped(labels, weights, grouping)
    assert sorted(itertools.chain(*found)) == list(range(len(labels)))
    plain = sorted_insertion(labels, weights, FITS[grouping])
    if grouping == "qubit-wise":
        assert found == plain
    else:
        assert len(found) <= min(len(plain), len(sorted_insertion(labels, weights, agree)))
    for members in found:
        for i, j in itertools.combinations(members, 2):
            if grouping == "qubit-wise":
                assert agree(labels[i], labels[j])
            a, b = label_matrix(labels[i]), label_matrix(labels[j])
            assert np.array_equal(a @ b, b @ a)


@pytest.mark.parametrize("grouping", GROUPINGS)
@pytest.mark.parametrize("num_qubits", [63, 64, 65, 70, 130])
def test_groups_on_many_qubits(grouping, num_qubits):
    """Sparse strings, so that what clashes may stand in any word of the masks."""
    rng = np.random.default_rng(num_qubits)
    labels = set()
    while len(labels) < 60:
        letters = ["I"] * num_qubits
        for q in rng.choice(num_qubits, 12, replace=False):
            letters[q] = str(rng.choice(list("XYZ")))
        labels.add("".join(letters))
    labels = sorted(labels)
    weights = rng.normal(size=len(labels)).tolist()
    found = grouped(labels, weights, grouping)
    assert 1 < len(found) < 60
    plain = sorted_insertion(labels, weights, FITS[grouping])
    assert found == plain if grouping == "qubit-wise" else len(found) <= len(plain)
    assert all(FITS[grouping](labels[i], labels[j]) for m in found for i, j in itertools.combinations(m, 2))


@pytest.mark.parametrize(
    ("labels", "qubit_wise", "commuting"),
    [
        (["XX", "YY", "ZZ"], 3, 1),
        (["XI", "IX", "XX"], 1, 1),
        (["XI", "ZI"], 2, 2),
        (["ZZII", "IZZI", "IIZZ", "XIII", "IXII", "IIXI", "IIIX"], 2, 2),
        (["ZIII", "IZII", "ZZII", "XXYY", "YYXX", "XYYX", "YXXY"], 5, 2),
        (["II"], 1, 1),
        ([], 0, 0),
    ],
)
def test_known_numbers_of_groups(labels, qubit_wise, commuting):
    weights = np.arange(len(labels), 0, -1.0)
    strings = PauliStrings.from_labels(labels)
    assert len(group(strings, weights, "qubit-wise")) == qubit_wise
    assert len(group(strings, weights, "commuting")) == commuting


def fewest_sets(labels):
    """The chromatic number of what does not commute, by trying all colourings."""
    for count in itertools.count(1):
        for colours in itertools.product(range(count), repeat=len(labels)):
            pairs = itertools.combinations(range(len(labels)), 2)
            if all(colours[i] != colours[j] or commute(labels[i], labels[j]) for i, j in pairs):
                return count


@pytest.mark.parametrize("seed", range(12))
def test_commuting_sets_are_hardly_ever_more_than_the_fewest(seed):
    rng = np.random.default_rng(seed)
    labels = sorted({"".join(rng.choice(list("IXYZ"), 3)) for _ in range(7)})
    found = grouped(labels, rng.normal(size=len(labels)).tolist(), "commuting")
    assert len(found) == fewest_sets(labels)


def test_of_equally_many_sets_those_with_the_smaller_error():
    """XI with IX or with IZ, two sets either way: the heavy ones together, √(9² + 8²) + 1 against √(9² + 1) + 8."""
    assert grouped(["XI", "IZ", "IX"], [9.0, 1.0, 8.0], "commuting") == [[0, 2], [1]]
    assert grouped(["XI", "IZ", "IX"], [9.0, 8.0, 1.0], "commuting") == [[0, 1], [2]]


@pytest.mark.parametrize("seed", range(20))
def test_commuting_sets_keep_below_qubit_wise_ones_in_circuits_too(seed):
    """Where each string depends on some angles, and a set takes a circuit for every angle that any of it depends on."""
    rng = np.random.default_rng(seed)
    labels = sorted({"".join(rng.choice(list("IIXYZ"), 4)) for _ in range(12)})
    strings, weights = PauliStrings.from_labels(labels), rng.normal(size=len(labels))
    depends = rng.random((len(labels), 30)) < 0.3

    def circuits(members):
        return 1 + int(depends[members].any(axis=0).sum())

    separate = group(strings, weights, "qubit-wise", circuits)
    found = group(strings, weights, "commuting", circuits)
    assert len(found) <= len(separate)
    assert sum(map(circuits, found)) <= sum(map(circuits, separate))


def test_grouping_thousands_of_strings_is_the_same_every_time():
    rng = np.random.default_rng(3)
    labels = sorted({"".join(rng.choice(list("IIIXYZ"), 20)) for _ in range(2000)})
    weights = rng.normal(size=len(labels)).tolist()
    first, second = (grouped(labels, weights, "commuting") for _ in range(2))
    assert first == second
    assert len(first) < 0.3 * len(grouped(labels, weights, "qubit-wise"))


@pytest.mark.parametrize("grouping", ["qubitwise", "fully", "", None])
def test_an_unknown_grouping_is_named(grouping):
    with pytest.raises(SettingError, match=f"grouping.*{grouping}.*qubit-wise, commuting"):
        group(PauliStrings.from_labels(["X"]), np.ones(1), grouping)


# --- bases ---


def signed_matrices(strings):
    rows = zip(strings.sign, strings.labels(), strict=True)
    return [int(sign) * label_matrix(label) for sign, label in rows]


def unitary(ops, num_qubits, qubits=None):
    """The product of Clifford gates as a matrix; `qubits` renumbers those that they act on."""
    place = {int(q): i for i, q in enumerate(range(num_qubits) if qubits is None else qubits)}
    product = np.eye(2 ** len(place), dtype=complex)
    for k in range(len(ops)):
        on = [place[int(q)] for q in ops.qubits_of(k)]
        product = matrix_of(Op(ops.kind[k]).name.lower(), on, "", 0, len(place)) @ product
    return product


def z_matrix(mask, sign, num_qubits):
    parities = np.array([(int(mask) & b).bit_count() % 2 for b in range(2**num_qubits)])
    return np.diag(sign * (1.0 - 2.0 * parities))


def check_basis(strings):
    """U·P·U† = sign·Z^z for every string, in matrices."""
    n = strings.num_qubits
    basis = diagonalize(strings)
    u = unitary(basis.ops, n)
    for matrix, z, sign in zip(signed_matrices(strings), basis.z[:, 0], basis.sign, strict=True):
        assert np.allclose(u @ matrix @ u.conj().T, z_matrix(z, int(sign), n), atol=1e-12)
    return basis


@pytest.mark.parametrize("num_qubits", [1, 2, 3, 5, 6])
@pytest.mark.parametrize("seed", range(6))
def test_random_commuting_strings_become_z_strings(seed, num_qubits):
    strings = commuting_strings(seed, num_qubits, (2, num_qubits, 2 * num_qubits + 1)[seed % 3])
    check_basis(strings)


@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(0, 9))
@examples(40)
def test_commuting_strings_of_any_number(seed, num_qubits, count):
    check_basis(commuting_strings(seed, num_qubits, count))


@pytest.mark.parametrize(
    ("labels", "gates", "two_qubit_gates"),
    [
        ([], 0, 0),
        (["II"], 0, 0),
        (["ZI", "IZ", "ZZ"], 0, 0),
        (["XI", "IZ", "XZ"], 1, 0),
        (["YIX", "IZX", "YII"], 3, 0),  # S†, H and H
        (["XX", "ZZ"], None, 1),
        (["XX", "YY", "ZZ"], None, 1),
        (["XXII", "ZZII", "IIYY", "IIXX"], None, 2),
        (["ZZII", "XXII", "IIXY"], None, 1),  # the second pair agrees letter by letter
        (["XXIIX", "ZZIIX"], None, 2),
        (["XXX", "XYY", "YXY", "YYX"], None, 2),  # their product is −1
    ],
)
def test_bases_by_hand(labels, gates, two_qubit_gates):
    strings = PauliStrings.from_labels(labels, len(labels[0]) if labels else 3)
    basis = check_basis(strings)
    if gates is not None:
        assert len(basis.ops) == gates
    if two_qubit_gates is not None:
        assert (np.diff(basis.ops.start) > 1).sum() == two_qubit_gates


@pytest.mark.parametrize("seed", range(5))
def test_strings_that_share_no_qubits_stay_apart(seed):
    """Interleaved sets on even and odd qubits: no gate joins them, and each is as it would be alone."""
    sets = [commuting_strings(10 * seed + i, 3, 4) for i in range(2)]
    x, z = np.zeros((8, 6), dtype=bool), np.zeros((8, 6), dtype=bool)
    for i, strings in enumerate(sets):
        letters = strings.letters()
        x[4 * i : 4 * i + 4, i::2] = (letters == 1) | (letters == 2)
        z[4 * i : 4 * i + 4, i::2] = letters >= 2
    together = PauliStrings.from_bits(x, z)
    both = PauliStrings(6, together.x, together.z, np.concatenate([s.sign for s in sets]))
    basis = check_basis(both[np.arange(8).reshape(2, 4).T.ravel()])
    for k in range(len(basis.ops)):
        assert len({int(q) % 2 for q in basis.ops.qubits_of(k)}) == 1
    alone = sum(len(diagonalize(strings).ops) for strings in sets)
    assert len(basis.ops) == alone


@pytest.mark.parametrize(
    ("num_qubits", "qubits"),
    [(70, [0, 31, 62, 63, 64, 69]), (100, [1, 40, 64, 65, 98, 99]), (130, [5, 63, 64, 127, 128, 129])],
)
@pytest.mark.parametrize("seed", range(4))
def test_bases_on_many_qubits(num_qubits, qubits, seed):
    """Six qubits of many, in several words of the masks: the gates act on them alone, and are right there."""
    few = commuting_strings(seed, 6, 8)
    letters = np.zeros((8, num_qubits), dtype=int)
    letters[:, qubits] = few.letters()
    bare = PauliStrings.from_bits((letters == 1) | (letters == 2), letters >= 2)
    wide = PauliStrings(num_qubits, bare.x, bare.z, few.sign)
    basis = diagonalize(wide)
    assert len(basis.ops) > 0
    u = unitary(basis.ops, num_qubits, qubits)
    for matrix, z, sign in zip(signed_matrices(few), basis.z, basis.sign, strict=True):
        mask = sum(int(word) << 64 * w for w, word in enumerate(z))
        local = sum((mask >> q & 1) << i for i, q in enumerate(qubits))
        assert mask == sum(1 << q for i, q in enumerate(qubits) if local >> i & 1)
        assert np.allclose(u @ matrix @ u.conj().T, z_matrix(local, int(sign), 6), atol=1e-12)


@pytest.mark.parametrize("labels", [["X", "Z"], ["XX", "ZI"], ["XXI", "ZZI", "IXZ", "IZZ"], ["IIXY", "IIYY"]])
def test_strings_that_do_not_commute_are_refused(labels):
    with pytest.raises(ValueError, match="commut"):
        diagonalize(PauliStrings.from_labels(labels))
