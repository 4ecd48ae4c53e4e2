"""Where structure appears in the bottleneck: betas at which T begins to tell of X, and splits."""

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike
from scipy.optimize import minimize, minimize_scalar
from scipy.special import logsumexp, xlog1py

from .checks import Floats, checked_encoder, checked_joint
from .sufficiency import reduced

# Singular values below this are the rounding of the first, which is 1.
ROUNDING = 1e-14
# Tilts are searched on a logarithmic grid of so many points on either side of none.
GRID = 300
STARTS = 10
EXTREMES = 100
# Nearer to p(x) than this, in nats, the ratio is that of the linearised channel but for rounding.
SMALLEST = 1e-8


def critical_betas(p_xy: ArrayLike) -> xr.Dataset:
    """Beta of local instability of the trivial T, and beta at which the curve leaves the origin.

    For a joint ``p_xy`` (x, y). A T that knows nothing becomes unstable at 1/lambda_2, lambda_2
    the square of the second singular value of p(x,y)/sqrt(p(x)p(y)). It stops to be optimal at
    1/eta, eta = sup_q KL(qW|p_Y)/KL(q|p_X) >= lambda_2 the constant of strong data processing
    (Anantharam et al. 2013; Wu et al. 2019 for the bottleneck). Where eta is larger, a cluster
    appears at once at a distance from p(y), though with a probability that grows from 0: what
    jumps is p(y|t), and I(X;T) does so only in degenerate cases such as deterministic labels.

    Given the distribution qW of labels, KL(q|p_X) is least for q(x) = p(x) exp(sum_y theta_y
    p(y|x))/Z, so the search is over as many parameters as p(x,y)/(p(x)p(y)) - 1 has rank. If that
    is one, as for two labels or two x, it is a search of the whole line, on a grid refined where
    the ratio is largest. If more, it is BFGS from many starts: a lower bound on eta, and so
    ``onset_beta`` an *upper bound*; which of the two is in its attribute ``search``.

    Dataset of scalars: ``lambda_2``, ``critical_beta`` = 1/lambda_2, ``eta``, ``onset_beta`` =
    1/eta. Betas are infinite if X and Y are independent. ValueError as for `checked_joint`.
    """
    p_x, channel, _ = reduced(checked_joint(p_xy))
    values, functions = _correlated(p_x, channel)
    lambda_2 = float(values[0] ** 2) if len(values) else 0.0
    eta = lambda_2
    if len(values) == 1:
        eta = max(eta, _search_line(p_x, channel, functions[:, 0]))
    elif len(values) > 1:
        eta = max(eta, _search(p_x, channel, functions))
    search = "of one parameter, on its whole range" if len(values) < 2 else "local: an upper bound"
    found = xr.Dataset(
        {
            "lambda_2": ((), lambda_2, {"long_name": "squared maximal correlation of X and Y"}),
            "critical_beta": (
                (),
                _inverse(lambda_2),
                {"long_name": "beta above which the trivial T is unstable"},
            ),
            "eta": ((), eta, {"long_name": "constant of strong data processing"}),
            "onset_beta": (
                (),
                _inverse(eta),
                {"long_name": "beta above which the trivial T is not optimal", "search": search},
            ),
        }
    )
    for variable in found.values():
        variable.attrs["units"] = "1"
    return found


def cluster_splits(p_t_given_x: ArrayLike, p_xy: ArrayLike) -> xr.Dataset:
    """Beta at which each cluster of an encoder becomes unstable to a split in two.

    For a self-consistent encoder ``p_t_given_x`` (x, t) of the joint ``p_xy`` (x, y). Two copies of
    cluster t that differ by a little are driven apart by a factor beta lambda_2(t) in each
    iteration, lambda_2(t) being the second eigenvalue of C(x, x') = p(x'|t) sum_y p(y|x) p(y|x')
    / p(y|t) (Zaslavsky & Tishby 2019): that of `critical_betas` with p(x|t) in place of p(x).

    Dataset along ``t``: ``lambda_2`` and ``split_beta`` = 1/lambda_2, infinite for a cluster of a
    single p(y|x), NaN for one without probability; ``p_t``.

    ValueError as for `checked_joint` and `checked_encoder`.
    """
    p = checked_joint(p_xy)
    encoder = checked_encoder(p_t_given_x, len(p))
    p_x = p.sum(1)
    p_xt = p_x[:, None] * encoder
    p_t = p_xt.sum(0)
    lambda_2 = np.full(len(p_t), np.nan)
    for t in p_t.nonzero()[0]:
        inside = p_xt[:, t] > 0
        channel = p[inside] / p_x[inside, None]
        values, _ = _correlated(p_xt[inside, t] / p_t[t], channel[:, channel.sum(0) > 0])
        lambda_2[t] = values[0] ** 2 if len(values) else 0
    return xr.Dataset(
        {
            "lambda_2": (
                "t",
                lambda_2,
                {"units": "1", "long_name": "squared maximal correlation within the cluster"},
            ),
            "split_beta": (
                "t",
                np.array([_inverse(value) for value in lambda_2]),
                {"units": "1", "long_name": "beta above which the cluster splits"},
            ),
            "p_t": ("t", p_t, {"units": "1", "long_name": "probability of the cluster"}),
        }
    )


def _inverse(value: float) -> float:
    return np.inf if value == 0 else 1 / value


def _correlated(p_x: Floats, channel: Floats) -> tuple[Floats, Floats]:
    """Singular values of p(x,y)/sqrt(p(x)p(y)) after the first, and their functions of x.

    Functions (x, k) have mean 0 and variance 1 under p(x). Values that are rounding are left out.
    """
    p_y = p_x @ channel
    rest = np.sqrt(p_x)[:, None] * (channel - p_y) / np.sqrt(p_y)
    u, values, _ = np.linalg.svd(rest, full_matrices=False)
    kept = values > ROUNDING
    return values[kept], u[:, kept] / np.sqrt(p_x)[:, None]


def _divergences(tilt: Floats, p_x: Floats, channel: Floats) -> tuple[Floats, Floats, Floats]:
    """Of q(x) = p(x) exp(tilt)/Z, tilts (..., x): log q/p (..., x), KL(qW|p_Y), KL(q|p_X) (...).

    KL as the sum of p [(1 + e) log(1 + e) - e] of the relative change e: digits are kept near p.
    """
    p_y = p_x @ channel
    log_x = tilt - logsumexp(tilt, b=p_x, axis=-1, keepdims=True)
    change_x = np.expm1(log_x)
    change_y = change_x @ (p_x[:, None] * channel / p_y)
    left, lost = (
        (xlog1py(1 + change, change) - change) @ p
        for change, p in ((change_y, p_y), (change_x, p_x))
    )
    return log_x, left, lost


def _ratio(tilt: Floats, p_x: Floats, channel: Floats) -> Floats:
    """KL(qW|p_Y)/KL(q|p_X) of tilts (..., x); 0 where it would be rounding."""
    _, left, lost = _divergences(tilt, p_x, channel)
    return np.where(lost < SMALLEST, 0, left / np.maximum(lost, SMALLEST))


def _slope(tilt: Floats, p_x: Floats, channel: Floats) -> tuple[float, Floats]:
    """The ratio of one ``tilt`` (x,) and its gradient (x,)."""
    log_x, left, lost = _divergences(tilt, p_x, channel)
    if lost < SMALLEST:
        return 0.0, np.zeros(len(p_x))
    ratio = float(left / lost)
    log_y = logsumexp(log_x[:, None], axis=0, b=p_x[:, None] * channel / (p_x @ channel))
    slope = (channel @ log_y - ratio * log_x) / lost
    q = p_x * np.exp(log_x)
    return ratio, q * (slope - q @ slope)


def _search_line(p_x: Floats, channel: Floats, function: Floats) -> float:
    """Largest ratio over tilts by multiples of one function of x."""
    levels = np.unique(function)
    gaps = np.diff(levels)
    gaps = gaps[gaps > 1e-9 * np.ptp(levels)]
    # From next to p(x) to where only the last level is left, even against the least p(x).
    widest = (40 - np.log(p_x.min())) / gaps.min()
    sizes = np.geomspace(1e-4 / np.ptp(levels), widest, GRID)
    best = 0.0
    for side in (-1, 1):

        def lacking(log_size: float, side: int = side) -> float:
            return -float(_ratio(side * np.exp(log_size) * function, p_x, channel))

        ratios = _ratio(side * sizes[:, None] * function, p_x, channel)
        best = max(best, float(ratios.max()))
        padded = np.concatenate([[-np.inf], ratios, [-np.inf]])
        peaks = ((ratios >= padded[:-2]) & (ratios >= padded[2:])).nonzero()[0]
        for peak in peaks[np.argsort(-ratios[peaks], kind="stable")][:3]:
            bounds = np.log(sizes[[max(peak - 1, 0), min(peak + 1, GRID - 1)]])
            fine = minimize_scalar(
                lacking, bounds=tuple(bounds), method="bounded", options={"xatol": 1e-10}
            )
            best = max(best, -float(fine.fun))
    return best


def _search(p_x: Floats, channel: Floats, functions: Floats) -> float:
    """Largest ratio found by BFGS over tilts by combinations of functions of x.

    Of tilts towards and away from the x with the most unusual labels, and along each function, the
    best ones are starts.
    """
    unusual = (functions**2).sum(1)
    extreme = np.argsort(-unusual, kind="stable")[:EXTREMES]
    extreme = extreme[unusual[extreme] > ROUNDING]
    towards = functions[extreme] / unusual[extreme, None]
    along = np.eye(functions.shape[1])
    directions = np.concatenate([towards, -towards, along, -along])
    tries = np.concatenate([size * directions for size in (0.3, 1, 3, 10)])

    def lacking(theta: Floats) -> tuple[float, Floats]:
        ratio, gradient = _slope(functions @ theta, p_x, channel)
        return -ratio, -gradient @ functions

    first = _ratio(tries @ functions.T, p_x, channel)
    best = first.max()
    for start in tries[np.argsort(-first, kind="stable")[:STARTS]]:
        found = minimize(lacking, start, jac=True, method="BFGS", options={"gtol": 1e-10})
        best = max(best, -float(found.fun))
    return float(best)
