"""Every step rule, by name."""

from qngd.step import (
    Adaptive,
    AlignedMomentum,
    Armijo,
    ConjugateDirections,
    CurvatureRate,
    DecayingRate,
    FixedRate,
    Momentum,
    QuasiNewton,
    TrustRegion,
)

RULES = {
    "fixed": FixedRate(0.1),
    "decaying": DecayingRate(0.1),
    "momentum": Momentum(0.1),
    "curvature": CurvatureRate(),
    "aligned": AlignedMomentum(),
    "quasi-newton": QuasiNewton(),
    "adaptive": Adaptive(),
    "trust region": TrustRegion(),
    "armijo": Armijo(),
    "conjugate": ConjugateDirections(),
}
