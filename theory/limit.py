"""Layers held against the bottleneck curve: how far they are from it, and at which beta.

Shwartz-Ziv & Tishby 2017 (section 3.5) report that the layers of converged networks lie on the
curve, each at a beta of its own. Whether they do is a matter of two numbers: the distance along
either axis, and how far the layer's own p(t|x) is from the optimal form at the beta that suits it
best. Both mean something only beside those of untrained networks and of random labels.
"""

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import logsumexp, rel_entr, xlogy

from .checks import Floats, checked_joint
from .information import entropy
from .sufficiency import merged

# A layer whose best beta is beyond this sorts by p(y|x) as sharply as can be told.
SHARPEST = 1e9
# Bits by which sums over some thousand patterns are off.
ROUNDING = 1e-9


def distance(run: xr.Dataset, curve: xr.Dataset) -> xr.Dataset:
    """Distance of every layer of a record to the curve, along both axes of the plane, in bits.

    ``run`` has ``information_input`` and ``information_label`` in bits, with any dims; ``curve``
    the same along ``beta`` (`theory.bottleneck.curve`). Between its points, and from the origin to
    the first, the curve is taken as straight, which a mixture of two encoders attains. It ends at
    ``sufficient_information`` and ``total_information``, if ``curve`` has them, else at its last
    point; beyond, I(T;Y) no longer rises.

    ``excess_input``: I(X;T) above the least that the layer's I(T;Y) takes. ``deficit_label``: what
    I(T;Y) lacks to the most that the layer's I(X;T) allows. Where the estimate of I(T;Y) is above
    the curve's greatest, no I(X;T) suffices and the excess is NaN.

    ValueError for a variable that is missing or not in bits.
    """
    for owner, data in (("run", run), ("curve", curve)):
        for name in ("information_input", "information_label"):
            if name not in data:
                raise ValueError(f"{owner} holds no {name!r}")
            if data[name].attrs.get("units") != "bit":
                found = data[name].attrs.get("units")
                raise ValueError(f"{name!r} of the {owner} has units {found!r}, expected 'bit'")
    i_x, i_y = whole_curve(curve)
    rising = np.append(True, np.diff(i_y) > 0)
    label, greatest = run.information_label, i_y[-1]
    # All of I(X;Y), up to the rounding of sums over patterns, is on the curve.
    label = label.where(~((label > greatest) & (label <= greatest + ROUNDING)), greatest)
    least = xr.apply_ufunc(
        np.interp,
        label,
        kwargs={"xp": i_y[rising], "fp": i_x[rising], "right": np.nan},
    )
    most = xr.apply_ufunc(np.interp, run.information_input, kwargs={"xp": i_x, "fp": i_y})
    found = xr.Dataset(
        {
            "excess_input": run.information_input - least,
            "deficit_label": most - run.information_label,
        }
    )
    found.excess_input.attrs = {"units": "bit", "long_name": "I(X;T) above the bottleneck curve"}
    found.deficit_label.attrs = {"units": "bit", "long_name": "I(T;Y) below the bottleneck curve"}
    return found


def whole_curve(curve: xr.Dataset) -> tuple[Floats, Floats]:
    """I(X;T) and I(T;Y) (corner,), in bits, from the origin to the sufficient T where it is known.

    ``curve`` is as for `distance`.
    """
    i_x, i_y = curve.information_input.values, curve.information_label.values
    if "sufficient_information" in curve:
        i_x = np.append(i_x, curve.sufficient_information)
        i_y = np.append(i_y, curve.total_information)
    return upper_envelope(i_x, i_y)


def upper_envelope(
    information_input: ArrayLike, information_label: ArrayLike
) -> tuple[Floats, Floats]:
    """Corners of the least concave curve from the origin on that lies above all points.

    I(X;T) and I(T;Y) of the points are of one shape, in one unit; both results are (corner,).

    >>> print(*upper_envelope([1, 2, 1.5], [1, 1.2, 1.0]))
    [0. 1. 2.] [0.  1.  1.2]
    """
    pairs = zip(np.ravel(information_input), np.ravel(information_label), strict=True)
    points = sorted({(0.0, 0.0), *pairs})
    corners: list[tuple[float, float]] = []
    for x, y in points:
        while len(corners) > 1:
            (x0, y0), (x1, y1) = corners[-2:]
            if (x1 - x0) * (y - y0) < (x - x0) * (y1 - y0):
                break
            corners.pop()
        if corners and corners[-1][0] == x:
            corners.pop()
        corners.append((float(x), float(y)))
    top = int(np.argmax([y for _, y in corners]))
    found = np.array(corners[: top + 1]).T
    return found[0], found[1]


def fitted_beta(p_t_given_x: ArrayLike, p_xy: ArrayLike) -> tuple[float, float]:
    """The beta whose optimal encoder is nearest to ``p_t_given_x`` (x, t), and how near, in bits.

    With the encoder's own p(t) and p(y|t), the bottleneck equations ask for
    p_beta(t|x) = p(t) exp(-beta KL(p(y|x) || p(y|t))) / Z(x, beta); found is the minimum over beta
    of the convex sum_x p(x) KL(p(t|x) || p_beta(t|x)). It is 0 for an optimal encoder. Infinite
    beta, where the divergence falls on beyond `SHARPEST`, is a hard clustering by p(y|x).

    ValueError for ``p_xy`` (x, label) as by `checked_joint`.
    """
    joint = checked_joint(p_xy)
    p_x, encoder = joint.sum(1), np.asarray(p_t_given_x, dtype=float)
    p_xt = p_x[:, None] * encoder
    return _fit(p_xt, -float((p_x * entropy(encoder, base=np.e)).sum()), joint / p_x[:, None])


def fitted_beta_of_cells(cells: NDArray[np.integer], p_xy: ArrayLike) -> tuple[float, float]:
    """`fitted_beta` of a deterministic layer that puts pattern x into ``cells`` (x,).

    ValueError for ``p_xy`` (x, label) as by `checked_joint`.
    """
    joint = checked_joint(p_xy)
    classes, own = merged(joint)
    _, cell = np.unique(cells, return_inverse=True)
    p_ct = np.zeros((len(classes), cell.max() + 1))
    np.add.at(p_ct, (own, cell), joint.sum(1))
    return _fit(p_ct, 0.0, classes / classes.sum(1, keepdims=True))


def _fit(p_xt: Floats, noise: float, p_y_given_x: Floats) -> tuple[float, float]:
    """Best beta and its divergence in bits; ``noise`` is -H(T|X) in nats."""
    p_t = p_xt.sum(0)
    p_xt, p_t = p_xt[:, p_t > 0], p_t[p_t > 0]
    p_y_given_t = (p_xt / p_t).T @ p_y_given_x
    divergence = rel_entr(p_y_given_x[:, None], p_y_given_t).sum(-1)
    finite = np.where(np.isfinite(divergence), divergence, 0)
    p_x = p_xt.sum(1)
    spent = float((p_xt * finite).sum())
    own = float(xlogy(p_xt, p_t).sum())

    def weights(beta: float) -> tuple[Floats, Floats]:
        exponents = np.log(p_t) - beta * divergence
        log_z = logsumexp(exponents, axis=1, keepdims=True)
        return np.exp(exponents - log_z), log_z[:, 0]

    def slope(beta: float) -> float:
        return spent - float(p_x @ (weights(beta)[0] * finite).sum(1))

    def divergence_at(beta: float) -> float:
        return (noise - own + beta * spent + float(p_x @ weights(beta)[1])) / np.log(2)

    low, high = np.finfo(float).tiny, 1.0
    if slope(low) >= 0:
        return 0.0, divergence_at(low)
    while slope(high) <= 0:
        if high > SHARPEST:
            return np.inf, divergence_at(high)
        high *= 2
    beta = float(brentq(slope, low, high, xtol=1e-12, rtol=1e-14))
    return beta, divergence_at(beta)
