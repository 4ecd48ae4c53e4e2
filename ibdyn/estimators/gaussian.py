"""Exact information of linear layers of Gaussian inputs, as log-determinants.

A layer T = W x + e of inputs x of covariance S, with noise e of variance s2 in each unit, is the
closed form that every other estimator can be measured with. Means do not matter. Noise model:
independent of x, Gaussian, and part of T.
"""

import re
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .protocol import UNSIGNED, Estimates, Floats, Limits, Meaning, World, number

# Asymmetry and negative eigenvalues up to this share of the largest are rounding.
ROUNDING = 1e-10


@dataclass(frozen=True)
class Gaussian:
    """Exact I(X;T+Z) and I(T+Z;Y) of a linear network's layer, Z ~ N(0, ``variance`` I).

    Of the population that the patterns are a sample of, so log2(patterns) is no ceiling. It needs
    linear networks and the linear-Gaussian task (Saxe et al. 2018); ``variance`` is in units of
    the activations squared; ValueError unless it is finite and above 0.
    """

    variance: float

    over_run: ClassVar[bool] = False
    family: ClassVar[str] = "gaussian"
    forms: ClassVar[tuple[str, ...]] = ("gaussian-VARIANCE",)

    def __post_init__(self) -> None:
        if not 0 < self.variance < np.inf:
            raise ValueError(f"gaussian variance is {self.variance}, expected more than 0")

    @property
    def name(self) -> str:
        """The estimator's name."""
        return f"gaussian-{number(self.variance)}"

    @classmethod
    def from_name(cls, name: str) -> "Gaussian":
        """Read a name back; ValueError with the forms there are if it is none."""
        if found := re.fullmatch(rf"gaussian-({UNSIGNED})", name):
            return cls(float(found[1]))
        raise ValueError(f"estimator {name!r} is none of {', '.join(cls.forms)}")

    @property
    def meaning(self) -> Meaning:
        """What the number means."""
        return Meaning(
            "I_gaussian",
            "information of T + Z in the Gaussian population, exact",
            f"Z Gaussian of variance {number(self.variance)}, in the measurement only",
            f"standard deviation {np.sqrt(self.variance):.3g} of Z, each unit",
        )

    def information(self, activations: NDArray, limits: Limits, world: World) -> Estimates:
        """Exact information of the layer's linear map: see `Estimator`."""
        weights, covariance, teacher, teacher_variance = world.linear()
        finite = np.isfinite(weights).all((1, 2))
        found = np.full((2, len(weights)), np.nan)
        own = weights[finite]
        found[0, finite] = input_information(own, covariance, self.variance)
        found[1, finite] = label_information(
            own, covariance, self.variance, teacher, teacher_variance
        )
        return {"information_input": found[0], "information_label": found[1]}


def input_information(
    weights: ArrayLike, covariance: ArrayLike, noise_variance: ArrayLike
) -> Floats:
    """I(X;T) = 1/2 log2 det(I + W S W^T / s2) of T = W x + e, in bits.

    ``weights`` W is (..., unit, input), ``covariance`` S (..., input, input), ``noise_variance``
    s2 (...); leading axes, of members say, broadcast and are those of the result. S may be
    singular. The entropy of a Gaussian (Cover & Thomas 2006, theorem 8.4.1) less that of the
    noise; the linear network of Saxe et al. 2018.

    ValueError if shapes do not fit, a number is not finite, a covariance is not symmetric positive
    semidefinite, or a variance is not above 0.

    >>> print(input_information([[1.0]], [[3.0]], 1.0))
    1.0
    """
    w = _matrix("weights", weights, "(..., unit, input)")
    root = _square_root(covariance, inputs=w.shape[-1])
    scale = _deviation("noise_variance", noise_variance)
    _fit(weights=w.shape[:-2], covariance=root.shape[:-2], noise_variance=scale.shape[:-2])
    return _bits(w @ root / scale)


def label_information(
    weights: ArrayLike,
    covariance: ArrayLike,
    noise_variance: ArrayLike,
    teacher: ArrayLike,
    teacher_variance: ArrayLike,
) -> Floats:
    """I(T;Y) = 1/2 log2 [det C_T det C_Y / det C_(T,Y)] of T = W x + e and y = V x + e', in bits.

    ``weights`` W, ``covariance`` S and ``noise_variance`` as for `input_information`; ``teacher``
    V is (input,) for a single label or (..., label, input), and ``teacher_variance`` (...) the
    variance of e' in each label. Leading axes broadcast and are those of the result.

    T and Y are independent given x, so the determinants of the noises cancel and
    I(T;Y) = I(X;T) + I(X;Y) - I(X;(T,Y)): the same log-determinant three times.

    ValueError as for `input_information`.

    >>> print(label_information([[1.0]], [[3.0]], 1.0, [1.0], 1.0).round(6))
    0.596323
    """
    w = _matrix("weights", weights, "(..., unit, input)")
    v = np.asarray(teacher, dtype=float)
    v = _matrix("teacher", v[None] if v.ndim == 1 else v, "(input,) or (..., label, input)")
    if v.shape[-1] != w.shape[-1]:
        raise ValueError(
            f"teacher has {v.shape[-1]} inputs, expected the {w.shape[-1]} of the weights"
        )
    root = _square_root(covariance, inputs=w.shape[-1])
    scale = _deviation("noise_variance", noise_variance)
    teacher_scale = _deviation("teacher_variance", teacher_variance)
    members = _fit(
        weights=w.shape[:-2],
        covariance=root.shape[:-2],
        noise_variance=scale.shape[:-2],
        teacher=v.shape[:-2],
        teacher_variance=teacher_scale.shape[:-2],
    )
    t, y = w @ root / scale, v @ root / teacher_scale
    t, y = (np.broadcast_to(one, (*members, *one.shape[-2:])) for one in (t, y))
    return _bits(t) + _bits(y) - _bits(np.concatenate([t, y], axis=-2))


def _bits(signal: Floats) -> Floats:
    """1/2 log2 det(I + A A^T) of A (..., unit, input).

    From the singular values of A: nothing overflows, and small information keeps its digits.
    """
    singular = np.linalg.svd(signal, compute_uv=False)
    return np.asarray(np.log1p(singular**2).sum(-1) / (2 * np.log(2)))


def _matrix(name: str, values: ArrayLike, expected: str) -> Floats:
    matrix = np.asarray(values, dtype=float)
    if matrix.ndim < 2 or 0 in matrix.shape[-2:]:
        raise ValueError(f"{name} has shape {matrix.shape}, expected {expected}")
    if not np.isfinite(matrix).all():
        raise ValueError(f"{name} has values that are not finite")
    return matrix


def _square_root(covariance: ArrayLike, inputs: int) -> Floats:
    """R with R R^T = S; by eigenvalues, since S may be singular."""
    s = _matrix("covariance", covariance, "(..., input, input)")
    if s.shape[-2:] != (inputs, inputs):
        raise ValueError(
            f"covariance has shape {s.shape}, expected (..., {inputs}, {inputs}) "
            f"for weights of {inputs} inputs"
        )
    asymmetry = np.abs(s - s.mT).max((-2, -1))
    if (asymmetry > ROUNDING * np.abs(s).max((-2, -1))).any():
        raise ValueError(
            f"covariance differs from its transpose by {asymmetry.max():.3g}, "
            "expected a symmetric matrix"
        )
    values, vectors = np.linalg.eigh((s + s.mT) / 2)
    if (values[..., 0] < -ROUNDING * np.abs(values).max(-1)).any():
        raise ValueError(
            f"covariance has the eigenvalue {values.min():.3g}, "
            "expected a positive semidefinite matrix"
        )
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0))[..., None, :])


def _deviation(name: str, variance: ArrayLike) -> Floats:
    """Standard deviations (..., 1, 1) of variances (...)."""
    variance = np.asarray(variance, dtype=float)
    wrong = ~((variance > 0) & np.isfinite(variance))
    if wrong.any():
        raise ValueError(f"{name} is {variance[wrong][0]}, expected finite and more than 0")
    return np.asarray(np.sqrt(variance)[..., None, None])


def _fit(**leading: tuple[int, ...]) -> tuple[int, ...]:
    try:
        return np.broadcast_shapes(*leading.values())
    except ValueError:
        found = ", ".join(f"{name} {shape}" for name, shape in leading.items())
        raise ValueError(f"leading axes do not broadcast: {found}") from None
