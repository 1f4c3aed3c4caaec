"""Metrics, each an object in a file of its own: what it is of a statevector, what it asks of a device, how its estimate
and errors come out, and what its shots are worth. See `Metric` for how to add one.

Diagonal, BlockDiagonal   from the circuit's layers
Full                      with the entries between layers
QNSPSA                    the full metric from random overlaps
RandomBasis               the full metric from random measurements
HamiltonianAware          of an observable's expectation values in place of the state
Identity                  plain gradient descent

Imports `exact` and `measured`, and is the only folder below `evaluators` that knows both. Metrics are loaded when first
used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qngd._system.members import lazily
from qngd.metrics.names import HOMES, as_metric

if TYPE_CHECKING:
    from qngd.metrics.base import Metric
    from qngd.metrics.full import Full
    from qngd.metrics.hamiltonian import HamiltonianAware
    from qngd.metrics.identity import Identity
    from qngd.metrics.layers import BlockDiagonal, Diagonal
    from qngd.metrics.random_basis import RandomBasis
    from qngd.metrics.spsa import QNSPSA

__all__ = [
    "QNSPSA",
    "BlockDiagonal",
    "Diagonal",
    "Full",
    "HamiltonianAware",
    "Identity",
    "Metric",
    "RandomBasis",
    "as_metric",
]

_MODULE_OF = {"Metric": "base", **{class_name: module for module, class_name, _ in HOMES.values()}}

if not TYPE_CHECKING:  # a type checker that saw it would take every misspelt name for one that is there
    __getattr__ = lazily(__name__, _MODULE_OF)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
