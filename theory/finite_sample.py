"""What a finite sample can be trusted to say of I(X;T) and I(T;Y): bounds and the red curve.

Encoders p(t|x) are known, p(x,y) is the empirical joint of m independent samples. The bounds are
of Shamir, Sabato & Tishby 2010, the red curve and its gaps of Tishby & Zaslavsky 2015. At
thousands of samples the bounds exceed H(Y): they are vacuous, and the red curve a qualitative
object, as its free constant says.
"""

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike
from scipy.special import xlogy

from .checks import Floats, checked_encoder
from .information import entropy

MODES = ("heuristic", "sst_fixed", "sst_data")


def fixed_bounds(
    samples: int, clusters: ArrayLike, labels: int, *, delta: float = 0.05
) -> xr.Dataset:
    """Error of plug-in information for one encoder chosen before the sample was seen.

    With probability 1 - ``delta``, each, for m ``samples``, |T| ``clusters`` (a number or an
    array) and |Y| ``labels`` (Shamir, Sabato & Tishby 2010; in nats)

        |I(X;T) - plug-in| <= |T| log m sqrt(log(4/delta)/2m) + (|T| - 1)/m
        |I(T;Y) - plug-in| <= (3|T| + 2) log m sqrt(log(4/delta)/2m) + ((|Y|+1)(|T|+1) - 4)/m

    Dataset of ``input_bound`` and ``label_bound`` in bits, with the dims of ``clusters``: those of
    a DataArray, ``clusters`` for a list.

    ValueError for fewer than 2 samples, clusters or labels below 1, or a delta not between 0 and 1.
    """
    _check(samples, labels, delta)
    if not isinstance(clusters, xr.DataArray):
        name = {"units": "1", "long_name": "number of clusters"}
        clusters = xr.Variable("clusters" if np.ndim(clusters) else (), clusters, name)
        clusters = xr.DataArray(clusters, {"clusters": clusters})
    if not bool((clusters >= 1).all()):
        raise ValueError(f"clusters are {clusters.values}, expected 1 or more")
    rate = np.log(samples) * np.sqrt(np.log(4 / delta) / (2 * samples))
    bounds = xr.Dataset(
        {
            "input_bound": clusters * rate + (clusters - 1) / samples,
            "label_bound": (3 * clusters + 2) * rate
            + ((labels + 1) * (clusters + 1) - 4) / samples,
        }
    ) / np.log(2)
    return _described(bounds)


def data_bounds(p_t_given_x: ArrayLike, counts: ArrayLike, *, delta: float = 0.05) -> xr.Dataset:
    """Error of plug-in information that holds for all encoders at once, whatever they learned.

    ``p_t_given_x`` (x, t) over all x, seen or not, and ``counts`` (x, y) of the m samples. With
    n = 2 + sqrt(2 log((|Y| + 2)/delta)), phi(u) = u log(1/u), or 1/e from u = 1/e on, b_t the mean
    over x of p(t|x), a of H(T|x), c over y of H(T|y), and Euclidean norms over x or y, with
    probability 1 - ``delta``, each (Shamir, Sabato & Tishby 2010, in the form of the authors'
    slides, where the radical in n is lost and restored here; in nats)

        |I(X;T) - plug-in| <= sum_t phi(n |p(t|.) - b_t|/sqrt m) + n |H(T|.) - a|/sqrt m
        |I(T;Y) - plug-in| <= 2 sum_t phi(n |p(t|.) - b_t|/sqrt m) + n |H(T|y) - c|/sqrt m

    The first also holds with r = (1 + sqrt(log(1/delta)))/sqrt m in place of n/sqrt m. Proof:
    |p - p'| of the true and empirical p(x) has a mean below m^-1/2 and moves by at most sqrt 2/m
    with one sample, so it exceeds r with probability below delta (McDiarmid); a and b_t may be
    taken off as p and p' have the same sum, then Cauchy-Schwarz, and
    |u log u - v log v| <= phi(|u - v|).

    Dataset of scalars in bits: ``input_bound``, ``label_bound``, ``input_bound_mcdiarmid``.

    ValueError as for `checked_encoder`, if counts are not integers of 0 or more of at least 2
    samples, or delta is not between 0 and 1.
    """
    n_xy = np.asarray(counts, dtype=float)
    if n_xy.ndim != 2 or 0 in n_xy.shape:
        raise ValueError(f"counts have shape {n_xy.shape}, expected (x, y), not empty")
    encoder = checked_encoder(p_t_given_x, len(n_xy))
    wrong = ~((n_xy >= 0) & (n_xy == np.floor(n_xy)) & np.isfinite(n_xy))
    if wrong.any():
        raise ValueError(f"a count is {n_xy[wrong][0]}, expected integers of 0 or more")
    samples, labels = int(n_xy.sum()), n_xy.shape[1]
    _check(samples, labels, delta)
    spread = _norm(encoder)
    noise = _norm(entropy(encoder, base=np.e))
    seen = n_xy[:, n_xy.sum(0) > 0]
    p_t_given_y = (seen / seen.sum(0)).T @ encoder
    noise_of_label = _norm(entropy(p_t_given_y, base=np.e))
    n = (2 + np.sqrt(2 * np.log((labels + 2) / delta))) / np.sqrt(samples)
    r = (1 + np.sqrt(np.log(1 / delta))) / np.sqrt(samples)
    bounds = xr.Dataset(
        {
            "input_bound": _phi(n * spread).sum() + n * noise,
            "label_bound": 2 * _phi(n * spread).sum() + n * noise_of_label,
            "input_bound_mcdiarmid": _phi(r * spread).sum() + r * noise,
        }
    ) / np.log(2)
    return _described(bounds)


def red_curve(
    curve: xr.Dataset,
    samples: int,
    labels: int,
    *,
    mode: str = "heuristic",
    constant: float = 1.0,
    delta: float = 0.05,
    label_bound: xr.DataArray | None = None,
) -> xr.Dataset:
    """Worst case of I(T;Y) along a bottleneck curve, known from m ``samples``, and its optimum.

    ``curve`` has ``information_input`` R and ``information_label`` along ``beta``, in bits. The
    penalty taken from I(T;Y) is, by ``mode``:

    heuristic: c |Y| 2^R/sqrt m bits, with 2^R in place of the number of clusters (Tishby &
    Zaslavsky 2015). ``constant`` c is free, and 1 has no meaning but visibility.
    sst_fixed: the bound on I(T;Y) of `fixed_bounds`, for the number of clusters in the variable
    ``clusters`` of ``curve``.
    sst_data: ``label_bound`` along ``beta`` in bits, that of `data_bounds` at each beta.

    A worst case below 0 is 0 in the modes of bounds, since no information is; the heuristic is
    left as it comes. The optimum (R*, I*) has the largest worst case. The heuristic's is taken on
    the curve as lines between its points and the origin (T at random between two encoders has the
    means of their information): on a line of slope s where 2^R = s sqrt m/(c |Y| log 2), or at
    its end. A bound's is the best of the curve's points, the first of equal ones.

    Dataset along ``beta``: ``information_input``, ``information_label`` (the worst case),
    ``penalty``; scalars ``optimal_information_input`` R* and ``optimal_information_label`` I*; all
    in bits. Attributes ``mode``, ``samples``, ``labels`` and ``constant`` or ``delta``.

    ValueError for a mode, variable, dim or unit other than these, or numbers out of range.
    """
    _check(samples, labels, delta)
    if mode not in MODES:
        raise ValueError(f"mode {mode!r} is unknown, expected one of {', '.join(MODES)}")
    r, i_y = (_along_beta(curve, name) for name in ("information_input", "information_label"))
    attributes = {"mode": mode, "samples": samples, "labels": labels}
    if mode == "heuristic":
        if not (np.isfinite(constant) and constant > 0):
            raise ValueError(f"constant is {constant}, expected finite and above 0")
        attributes["constant"] = constant
        scale = constant * labels / np.sqrt(samples)
        penalty = scale * 2**r
        worst = i_y - penalty
        best_r, best_i = _best_on_lines(r.values, i_y.values, scale)
    else:
        attributes["delta"] = delta
        if mode == "sst_fixed":
            clusters = _along_beta(curve, "clusters", units="1")
            penalty = fixed_bounds(samples, clusters, labels, delta=delta).label_bound
        elif label_bound is None:
            raise ValueError("label_bound is None, expected that of data_bounds in mode sst_data")
        else:
            penalty = _along_beta(xr.Dataset({"label_bound": label_bound}), "label_bound")
            xr.align(penalty, r, join="exact")
        worst = np.maximum(i_y - penalty, 0)
        best = int(worst.argmax("beta"))
        best_r, best_i = float(r[best]), float(worst[best])
    red = xr.Dataset(
        {
            "information_input": r,
            "information_label": worst,
            "penalty": penalty,
            "optimal_information_input": best_r,
            "optimal_information_label": best_i,
        },
        attrs=attributes,
    )
    return _described(red)


def gaps(
    information_input: float | xr.DataArray,
    information_label: float | xr.DataArray,
    total: float,
    red: xr.Dataset,
) -> xr.Dataset:
    """Distance of a representation from the optimum of a `red_curve`, in bits.

    ``information_input`` I(X;T) and ``information_label`` I(T;Y) of a network's output, say, in
    bits, and ``total`` = I(X;Y). With the distortion D = I(X;Y) - I(T;Y) (Tishby & Zaslavsky
    2015):

    ``complexity_gap`` = I(X;T) - R*, ``generalisation_gap`` = D - D*, with ``distortion`` D and
    ``optimal_distortion`` D* = I(X;Y) - I*. Dims are those of the arguments.

    ValueError if a DataArray has units other than bits, or ``total`` is not finite and 0 or more.
    """
    if not 0 <= total < np.inf:
        raise ValueError(f"total is {total}, expected I(X;Y) in bits")
    for name, value in (
        ("information_input", information_input),
        ("information_label", information_label),
    ):
        units = value.attrs.get("units", "bit") if isinstance(value, xr.DataArray) else "bit"
        if units != "bit":
            raise ValueError(f"{name!r} has units {units!r}, expected 'bit'")
    distortion = total - information_label
    optimal = total - red.optimal_information_label
    return _described(
        xr.Dataset(
            {
                "complexity_gap": information_input - red.optimal_information_input,
                "generalisation_gap": distortion - optimal,
                "distortion": distortion,
                "optimal_distortion": optimal,
            }
        )
    )


_LONG_NAMES = {
    "input_bound": "bound on the error of I(X;T)",
    "label_bound": "bound on the error of I(T;Y)",
    "input_bound_mcdiarmid": "bound on the error of I(X;T), with smaller constants",
    "information_input": "I(X;T)",
    "information_label": "worst case of I(T;Y)",
    "penalty": "penalty of the finite sample",
    "optimal_information_input": "I(X;T) of the largest worst case of I(T;Y)",
    "optimal_information_label": "largest worst case of I(T;Y)",
    "complexity_gap": "I(X;T) above the optimum of the finite sample",
    "generalisation_gap": "distortion above the optimum of the finite sample",
    "distortion": "I(X;Y) - I(T;Y)",
    "optimal_distortion": "distortion at the optimum of the finite sample",
}


def _described(bits: xr.Dataset) -> xr.Dataset:
    for name, variable in bits.items():
        variable.attrs = {"units": "bit", "long_name": _LONG_NAMES[str(name)]}
    return bits


def _check(samples: int, labels: int, delta: float) -> None:
    if not samples >= 2:
        raise ValueError(f"samples are {samples}, expected at least 2")
    if not labels >= 1:
        raise ValueError(f"labels are {labels}, expected at least 1")
    if not 0 < delta < 1:
        raise ValueError(f"delta is {delta}, expected between 0 and 1")


def _along_beta(curve: xr.Dataset, name: str, units: str = "bit") -> xr.DataArray:
    if name not in curve:
        raise ValueError(f"curve has {', '.join(map(str, curve.data_vars))}, expected {name!r} too")
    variable = curve[name]
    if variable.dims != ("beta",) or variable.size == 0:
        raise ValueError(f"{name!r} has dims {variable.dims}, expected ('beta',), not empty")
    if variable.attrs.get("units") != units:
        raise ValueError(f"{name!r} has units {variable.attrs.get('units')!r}, expected {units!r}")
    if not np.isfinite(variable).all():
        raise ValueError(f"{name!r} has values that are not finite")
    return variable


def _best_on_lines(r: Floats, i_y: Floats, scale: float) -> tuple[float, float]:
    """R and value of the maximum of I_Y - ``scale`` 2^R over lines from the origin on."""
    order = np.lexsort((i_y, r))
    r, i_y = np.append(0, r[order]), np.append(0, i_y[order])
    longer = np.diff(r) > 0
    left, right = r[:-1][longer], r[1:][longer]
    slope = np.diff(i_y)[longer] / (right - left)
    start = i_y[:-1][longer]
    falling = slope <= 0
    inside = np.log2(np.where(falling, 1, slope) / (scale * np.log(2)))
    at = np.append(np.clip(np.where(falling, left, inside), left, right), 0)
    value = np.append(start + slope * (at[:-1] - left), 0) - scale * 2**at
    best = value.argmax()
    return float(at[best]), float(value[best])


def _norm(values: Floats) -> Floats:
    """Euclidean norm over the first axis of deviations from the mean."""
    return np.sqrt(((values - values.mean(0)) ** 2).sum(0))


def _phi(u: Floats) -> Floats:
    """Of u: u log(1/u) where it rises, its maximum 1/e beyond."""
    rising = np.minimum(u, 1 / np.e)
    return np.asarray(-xlogy(rising, rising))
