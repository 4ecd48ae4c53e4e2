"""Pairwise bounds: from both sides, the information that a layer has left under Gaussian noise.

What this measures is I(X;T+Z) and I(T+Z;Y) with Z ~ N(0, variance I), the noise being that of the
measurement alone: the networks know nothing of it, so it sets a resolution, and there is no data
processing inequality from layer to layer. T+Z is a Gaussian mixture whose centres are the known
patterns. Its entropy has no closed form but bounds from the distances of its centres (Kolchinsky
& Tracey, Entropy 19, 361, 2017): from above with the Kullback-Leibler divergences of all pairs of
components, from below with their Bhattacharyya distances.
"""

import re
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlogy

from .protocol import UNSIGNED, Estimates, Floats, Limits, Meaning, World, number

# Variances for which float32 neither overflows nor underflows where it matters.
SINGLE = (1e-12, 1e12)


@dataclass(frozen=True)
class Pairwise:
    """A pairwise bound at one noise variance, in units of the activations squared.

    upper, lower: the bounds on I(X;T+Z) and the ends of the rigorous interval for I(T+Z;Y).
    published: the upper bound on I(X;T+Z) and the difference of two upper bounds that released
        code reports for I(T+Z;Y), no bound on either side.

    Patterns have no cells, so there are no counts of them. ValueError for an unknown bound, or a
    variance that is not finite and above 0.
    """

    bound: str
    variance: float

    over_run: ClassVar[bool] = False
    family: ClassVar[str] = "pairwise"
    forms: ClassVar[tuple[str, ...]] = (
        "pairwise-upper-VARIANCE",
        "pairwise-lower-VARIANCE",
        "pairwise-published-VARIANCE",
    )

    def __post_init__(self) -> None:
        if self.bound not in ("upper", "lower", "published"):
            raise ValueError(
                f"pairwise bound {self.bound!r} is unknown, expected upper, lower or published"
            )
        if not 0 < self.variance < np.inf:
            raise ValueError(f"pairwise variance is {self.variance}, expected more than 0")

    @property
    def name(self) -> str:
        """The estimator's name, with all its parameters."""
        return f"pairwise-{self.bound}-{number(self.variance)}"

    @classmethod
    def from_name(cls, name: str) -> "Pairwise":
        """Read a name back; ValueError with the forms there are if it is none."""
        if found := re.fullmatch(rf"pairwise-(upper|lower|published)-({UNSIGNED})", name):
            return cls(found[1], float(found[2]))
        raise ValueError(f"estimator {name!r} is none of {', '.join(cls.forms)}")

    @property
    def meaning(self) -> Meaning:
        """What the number means."""
        what = {
            "upper": "upper bound on the information of T + Z",
            "lower": "lower bound on the information of T + Z",
            "published": "upper bound on I(X;T + Z), and no bound but the published difference of "
            "two upper bounds for I(T + Z;Y)",
        }[self.bound]
        return Meaning(
            f"I_{self.bound}",
            what,
            f"Z Gaussian of variance {number(self.variance)}, in the measurement only",
            f"standard deviation {np.sqrt(self.variance):.3g} of Z, each unit",
        )

    def information(self, activations: NDArray, limits: Limits, world: World) -> Estimates:
        """The bounds on I(X;T+Z) and I(T+Z;Y): see `Estimator`."""
        found = world.once(
            ("pairwise", self.variance),
            lambda: bounds(activations, world.p_x, world.p_y_given_x, self.variance),
        )
        information_input, information_label = {
            "upper": (found.input_upper, found.label_upper),
            "lower": (found.input_lower, found.label_lower),
            "published": (found.input_upper, found.label_published),
        }[self.bound]
        return {"information_input": information_input, "information_label": information_label}


class Bounds(NamedTuple):
    """Bounds on the information of T+Z, in bits, each of shape (member,).

    ``input_lower`` <= I(X;T+Z) <= ``input_upper``, ``label_lower`` <= I(T+Z;Y) <= ``label_upper``.
    ``label_published`` is the difference of two upper bounds that released code reports for
    I(T;Y): within the interval, but no bound on either side. ``label_lower`` may be below zero.
    """

    input_lower: Floats
    input_upper: Floats
    label_lower: Floats
    label_upper: Floats
    label_published: Floats


def checked(
    activations: NDArray, p_x: ArrayLike, p_y_given_x: ArrayLike, variance: float
) -> tuple[Floats, Floats]:
    """``p_x`` and ``p_y_given_x`` as arrays; ValueError, as `bounds`, if anything does not fit."""
    p_x, p_y_given_x = np.asarray(p_x, dtype=float), np.asarray(p_y_given_x, dtype=float)
    if not 0 < variance < np.inf:
        raise ValueError(f"variance is {variance}, expected more than 0 and finite")
    if activations.ndim != 3 or 0 in activations.shape:
        raise ValueError(
            f"activations have shape {activations.shape}, expected (member, pattern, unit)"
        )
    patterns = activations.shape[1]
    if p_x.shape != (patterns,) or p_y_given_x.shape[:-1] != (patterns,):
        raise ValueError(
            f"p_x and p_y_given_x have shapes {p_x.shape} and {p_y_given_x.shape}, "
            f"expected ({patterns},) and ({patterns}, label)"
        )
    for name, p in (("p_x", p_x[None]), ("p_y_given_x", p_y_given_x)):
        if not ((p >= 0).all() and np.allclose(p.sum(-1), 1, rtol=0, atol=1e-6)):
            raise ValueError(f"{name} is no distribution, expected sums of 1 and none below 0")
    return p_x, p_y_given_x


def bounds(activations: NDArray, p_x: ArrayLike, p_y_given_x: ArrayLike, variance: float) -> Bounds:
    """Bounds on I(X;T+Z) and I(T+Z;Y) in bits, Z ~ N(0, ``variance`` I), of every member.

    ``activations`` is (member, pattern, unit), in float32 or float64 and in units of which
    ``variance`` is the square; ``p_x`` (pattern,) and ``p_y_given_x`` (pattern, label) are the
    exact distributions. With S_i(a) = sum_j p_j exp(-a D_ij / 2 variance), D_ij the squared
    distance of patterns i and j,

        I(X;T+Z) <= -sum_i p_i ln S_i(1), the Kullback-Leibler bound,
        I(X;T+Z) >= -sum_i p_i ln S_i(1/4), the Bhattacharyya bound: the former at 4 variance.

    I(T+Z;Y) = h(T+Z) - sum_y p(y) h(T+Z|y), where the entropies have the same two bounds: its
    lower bound takes the lower of the first and the upper ones of the second, its upper bound the
    other way round, and the published form the upper one of both (Kolchinsky & Tracey 2017).
    A member whose activations are not finite is NaN. ValueError if the variance is not finite and
    above 0, a shape does not fit, or probabilities do not sum to 1.

    >>> two_points = np.array([[[-1.0], [1.0]]])
    >>> found = bounds(two_points, [0.5, 0.5], np.eye(2), variance=1)
    >>> print(found.input_lower.round(6), found.input_upper.round(6))
    [0.316051] [0.816882]
    """
    # Compiled code is imported where it runs, so that naming an estimator stays quick.
    from .pairs import all_bounds, components

    activations = np.asarray(activations)
    p_x, p_y_given_x = checked(activations, p_x, p_y_given_x, variance)
    if activations.dtype != np.float32 or not SINGLE[0] <= variance <= SINGLE[1]:
        activations = activations.astype(float, copy=False)
    t = np.ascontiguousarray(activations.transpose(0, 2, 1))
    order, weights, _ = components(p_x, p_y_given_x)
    largest = weights.max()
    single = (weights / largest).astype(t.dtype)
    scale = t.dtype.type(-min(1 / (8 * variance), np.finfo(float).max))
    out = np.empty((len(t), 2, 2))
    all_bounds(t, order, weights, single, single.max(-1) > 0, scale, largest, out)
    p_y = p_x @ p_y_given_x
    h_y = -xlogy(p_y, p_y).sum()
    (total_lower, given_lower), (total_upper, given_upper) = out.transpose(1, 2, 0) / np.log(2)
    h_y /= np.log(2)
    return Bounds(
        input_lower=-total_lower,
        input_upper=-total_upper,
        label_lower=given_upper - total_lower + h_y,
        label_upper=given_lower - total_upper + h_y,
        label_published=given_upper - total_upper + h_y,
    )
