"""Optimizers to compare with: they run in the loop of `minimize`, on the same backends, counted by the same ledger.

A state comes in, the next goes out. Imports `estimates` and `solve`.

GradientDescent  θ ← θ − η∇E
Adam             gradient descent with a rate for each parameter (arXiv:1412.6980)
SPSA             a random direction's slope from two energies (Spall)
Rotosolve        every parameter in turn to its minimum
ExcitationSolve  the same for excitations (arXiv:2409.05939)
CMAES            covariance matrix adaptation, of the package `cma`
SciPy            scipy.optimize.minimize: L-BFGS-B, COBYLA and others

>>> from qngd.baselines import Adam
>>> circuit = qngd.CircuitBuilder(1)
>>> circuit = circuit.ry(circuit.parameter("a"), 0)
>>> qngd.minimize(circuit, {"Z": 1.0}, [2.0], optimizer=Adam(0.2), max_steps=100).energy < -0.999
True
"""

from qngd.baselines.coordinates import ExcitationSolve, Rotosolve
from qngd.baselines.descent import Adam, GradientDescent
from qngd.baselines.evolution import CMAES
from qngd.baselines.scipy_methods import METHODS, SciPy
from qngd.baselines.spall import SPSA

__all__ = ["CMAES", "METHODS", "SPSA", "Adam", "ExcitationSolve", "GradientDescent", "Rotosolve", "SciPy"]
