"""What templates give, by the slow linear algebra of `dense`: states, probabilities, expectation values, outcomes."""

from types import SimpleNamespace

import numpy as np

from qngd.circuit.ops import Op, Ops
from qngd.measured.outcomes import Counts
from tests import dense


def states(num_qubits, ops, angles):
    """The states (B, 2ⁿ) after these operations at angles (B, R); what is recorded midway is deferred."""
    kind = np.where(ops.kind == Op.RECORD, Op.CX, ops.kind).astype(ops.kind.dtype)
    plain = Ops(kind, ops.start, ops.qubits, ops.letters, ops.turns, ops.gate)
    return dense.run_ops(SimpleNamespace(num_qubits=num_qubits, ops=plain), np.asarray(angles))


def state(template, angles):
    """The state before the measurement basis."""
    return states(template.num_qubits, template.ops, [angles])[0]


def outcome_probabilities(template, angles):
    """Probability of each basis index when everything is measured after the basis gates."""
    return np.abs(states(template.num_qubits, template.all_ops, [angles])[0]) ** 2


def string_values(template):
    """±1 of each string at each basis index, (m, 2ⁿ), read as the template says."""
    indices = np.arange(2**template.num_qubits, dtype=np.uint64)
    odd = np.bitwise_count(indices & template.basis.z[:, :1]) & 1
    return template.basis.sign[:, None] * (1.0 - 2.0 * odd)


def string_matrices(strings):
    rows = zip(strings.sign, strings.labels(), strict=True)
    return [int(sign) * dense.label_matrix(label) for sign, label in rows]


def expectations(template, angles):
    """⟨P⟩ of the template's strings on its state, without any measurement basis."""
    psi = state(template, angles)
    return np.array([np.vdot(psi, matrix @ psi).real for matrix in string_matrices(template.strings)])


def draws(plan, shots, times, seed):
    """Outcomes of the plan, `times` over, each request with this many shots."""
    rng = np.random.default_rng(seed)
    columns = []
    for request in plan.requests:
        p = outcome_probabilities(plan.templates[request.template], request.angles)
        bits = np.arange(len(p), dtype=np.uint64)[:, None]
        every = rng.multinomial(shots, p / p.sum(), size=times)
        columns.append([Counts(bits[counts > 0], counts[counts > 0]) for counts in every])
    return list(zip(*columns, strict=True))
