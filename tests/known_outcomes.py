"""Templates of Z strings with outcomes whose statistics are known."""

import numpy as np

from qngd.circuit.builder import OpsBuilder
from qngd.circuit.pauli import PauliStrings
from qngd.measured.basis import Basis
from qngd.measured.outcomes import Counts, weighted_values
from qngd.measured.template import Template


def template_of(num_qubits, masks, signs):
    """Nothing but Z strings with these masks (Python ints of any size) and signs."""
    words = max(1, -(-num_qubits // 64))
    z = np.array([[m >> 64 * w & (1 << 64) - 1 for w in range(words)] for m in masks], dtype=np.uint64)
    z = z.reshape(len(masks), words)
    strings = PauliStrings(num_qubits, np.zeros_like(z), z, np.ones(len(masks), dtype=np.int8))
    nothing = OpsBuilder(num_qubits).ops()
    basis = Basis(nothing, z, np.array(signs, dtype=np.int8))
    return Template(num_qubits, nothing, np.zeros(0, dtype=np.int64), strings, basis, pairs=True)


def counts_of(num_qubits, outcomes, counts):
    words = max(1, -(-num_qubits // 64))
    bits = [[b >> 64 * w & (1 << 64) - 1 for w in range(words)] for b in outcomes]
    return Counts(np.array(bits, dtype=np.uint64), np.array(counts))


def random_case(seed, num_qubits, num_strings, shots, distinct=40):
    """A template, counts, and the value of every string in every single shot, (shots, m)."""
    rng = np.random.default_rng(seed)

    def number():
        return int.from_bytes(rng.bytes(-(-num_qubits // 8)), "little") % (1 << num_qubits)

    masks = [number() for _ in range(num_strings)]
    signs = rng.choice([-1, 1], num_strings).tolist()
    outcomes = sorted({number() for _ in range(distinct)})
    counts = rng.multinomial(shots, rng.dirichlet(np.full(len(outcomes), 0.5)))
    rows = [[s * (-1) ** (b & m).bit_count() for m, s in zip(masks, signs, strict=True)] for b in outcomes]
    values = np.repeat(np.array(rows, dtype=float), counts, axis=0)
    return template_of(num_qubits, masks, signs), counts_of(num_qubits, outcomes, counts), values


def distribution():
    """Three Z strings of correlated bits, far from symmetric, and combinations of them that a metric may want."""
    p = np.array([0.35, 0.05, 0.1, 0.02, 0.2, 0.03, 0.05, 0.2])
    template = template_of(3, [0b001, 0b011, 0b110], [1, -1, 1])
    jacobian = np.array([[1.0, 0.3], [0.0, -0.8], [0.5, 1.2]])
    return p, template, jacobian


EVERYTHING = np.arange(8, dtype=np.uint64)[:, None]


def all_values(template, weights):
    return weighted_values(Counts(EVERYTHING, np.zeros(8)), template, weights)


def repeated(statistic, shots, times=2000):
    p, template, jacobian = distribution()
    rng = np.random.default_rng(shots)
    found = [statistic(Counts(EVERYTHING, n), template, jacobian) for n in rng.multinomial(shots, p, times)]
    return (np.array(part) for part in zip(*found, strict=True))
