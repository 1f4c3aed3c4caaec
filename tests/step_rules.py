"""Every step rule, by name."""

from qngd.step import (
    Armijo,
    ConjugateDirections,
    CurvatureRate,
    DecayingRate,
    FixedRate,
    LevenbergMarquardt,
    Momentum,
    TrustRegion,
)

RULES = {
    "fixed": FixedRate(0.1),
    "decaying": DecayingRate(0.1),
    "momentum": Momentum(0.1),
    "curvature": CurvatureRate(),
    "trust region": TrustRegion(),
    "levenberg-marquardt": LevenbergMarquardt(),
    "armijo": Armijo(),
    "conjugate": ConjugateDirections(),
}
