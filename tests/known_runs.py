"""Short runs of every kind on one circuit, which can be made again to the last digit."""

import numpy as np

import qngd
from tests.strategies import ansatz

CIRCUIT = ansatz(2, 1)
THETA = np.random.default_rng(1).normal(size=CIRCUIT.num_parameters)
TERMS = {"ZZ": 1.0, "IX": -0.5, "XI": 0.7, "IZ": 0.3}
STEPS = 6
FIXED, ADAPTIVE = qngd.QNG(0.1), qngd.QNG()
RUNS = {
    "exact, fixed": {"optimizer": FIXED},
    "exact, adaptive": {"optimizer": ADAPTIVE},
    "sampled, fixed": {"optimizer": FIXED, "shots": 50, "seed": 5},
    "sampled, adaptive": {"optimizer": ADAPTIVE, "shots": 50, "seed": 5},
    "few shots": {"optimizer": ADAPTIVE, "shots": 3, "seed": 2},
    "full metric": {"optimizer": qngd.QNG(approx="full"), "shots": 50, "seed": 5},
    "auto": {"shots": qngd.AutoShots(2000), "seed": 5},
    "target": {"shots": qngd.TargetError(0.05), "seed": 5},
}


def run(kind="sampled, adaptive", **how):
    return qngd.minimize(CIRCUIT, TERMS, THETA, **{"max_steps": STEPS, "tol": 0, **RUNS[kind], **how})
