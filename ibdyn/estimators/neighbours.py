"""Information of two continuous variables from the distances between their samples.

The estimator of Kraskov, Stoegbauer & Grassberger (2004), which assumes that the pair has a joint
density. The layers of a deterministic network have none: there the estimate measures the size of
the sample, so samples that repeat and variables that are functions of each other are refused. It
is for pairs that are noisy of themselves, such as weights or gradients over members. Noise model:
none; the resolution is the distance to the k-th neighbour.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree
from scipy.special import digamma

Floats = NDArray[np.float64]

# A growth of fewer standard errors than this could be chance.
SIGNIFICANT = 4


def information(a: ArrayLike, b: ArrayLike, *, k: int = 3) -> float:
    """I(A;B), in bits, of n samples ``a`` (n, units) and ``b`` (n, units): the mean of `terms`.

    Neither variable is rescaled. The estimate changes slightly under monotone maps of a unit,
    which leave the information as it is, and may be a little below zero.

    The pair is refused where the estimate does not settle as the sample grows. With intrinsic
    dimensions d_a, d_b of the variables and d of the pair, distances to the k-th neighbour shrink
    as n^(-1/d), so the estimate gains (d_a + d_b)/d - 1 bits with each doubling of the sample:
    none if the pair has a density (d = d_a + d_b), one for a function y = f(x) of one variable,
    and at least 1/(d_a + d_b - 1) for any functional relation. So the `growth` must not be above
    both half of that, for the numbers of units, and four of its standard errors. A pair whose
    noise is finer than the distance between samples is refused as well; a function of many
    variables, or one that oscillates between neighbouring samples, may go unnoticed.

    ValueError if the pair is refused, and as for `terms`.

    >>> x, noise = np.random.default_rng(0).normal(size=(2, 2000, 1))
    >>> print(round(information(x, x + 0.5 * noise), 1))  # exactly log2(5)/2
    1.2
    """
    a, b = _samples(a, b, 2 * k + 2, k)
    gained, standard_error = growth(a, b, k=k)
    least = 1 / (a.shape[1] + b.shape[1] - 1)
    if gained > max(least / 2, SIGNIFICANT * standard_error):
        raise ValueError(
            f"the estimate grows by {gained:.3f} +- {standard_error:.3f} bits when the sample "
            f"doubles to {len(a)}, expected at most {least / 2:.3f}: at the resolution of the "
            "samples one variable is a function of the other, and nearest neighbours measure "
            "the sample size (as in any deterministic network), not information"
        )
    return float(terms(a, b, k=k).mean())


def growth(a: ArrayLike, b: ArrayLike, *, k: int = 3) -> tuple[float, float]:
    """Bits that the estimate gains from half of the samples to all, and the standard error.

    ``a`` and ``b`` are (n, units). The halves are every second sample, and the gain is the mean
    over samples of the change of the sample's term, from its own half to the whole; samples in an
    order that alternates must be shuffled before. The standard error takes these changes as
    independent. ValueError as for `terms`.

    >>> x = np.random.default_rng(0).normal(size=(1000, 1))
    >>> print(round(growth(x, -x)[0], 3))
    1.001
    """
    a, b = _samples(a, b, 2 * k + 2, k)
    gains = terms(a, b, k=k)
    for first in (0, 1):
        gains[first::2] -= terms(a[first::2], b[first::2], k=k)
    return float(gains.mean()), float(gains.std(ddof=1) / np.sqrt(len(gains)))


def terms(a: ArrayLike, b: ArrayLike, *, k: int = 3) -> Floats:
    """What each sample adds to the estimate: (n,) bits, with the mean I(A;B), unchecked.

    psi(k) + psi(n) - psi(n_a + 1) - psi(n_b + 1), where n_a and n_b count the other samples whose
    distance in A or B is strictly less than that to the k-th neighbour in both, in the maximum
    norm (Kraskov, Stoegbauer & Grassberger 2004, equation 8). O(n log n) for few units.

    ValueError if shapes do not fit, a value is not finite, samples of A or of B repeat, or there
    are not more than ``k`` samples.
    """
    a, b = _samples(a, b, k + 1, k)
    pair = np.concatenate([a, b], axis=1)
    distances = np.asarray(cKDTree(pair).query(pair, [k + 1], p=np.inf)[0])
    inside = np.nextafter(distances[:, 0], 0)
    found = np.full(len(pair), digamma(k) + digamma(len(pair)))
    for one in (a, b):
        # The sample itself is among those counted, which is the + 1 of the formula.
        found -= digamma(cKDTree(one).query_ball_point(one, inside, np.inf, return_length=True))
    return found / np.log(2)


def _samples(a: ArrayLike, b: ArrayLike, least: int, k: int) -> tuple[Floats, Floats]:
    if k < 1:
        raise ValueError(f"k is {k}, expected at least 1")
    pair = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    for name, one in zip("ab", pair, strict=True):
        if one.ndim != 2 or 0 in one.shape:
            raise ValueError(f"{name} has shape {one.shape}, expected (n, units)")
        if not np.isfinite(one).all():
            raise ValueError(f"{name} has values that are not finite")
        if len(one) < least:
            raise ValueError(
                f"{name} has {len(one)} samples, expected at least {least} for k = {k}"
            )
        repeated = len(one) - len(np.unique(one, axis=0))
        if repeated:
            raise ValueError(
                f"{repeated} of the {len(one)} samples of {name} repeat others, expected a "
                "continuous variable: with ties the pair has no density, and nearest neighbours "
                "do not measure information"
            )
    if len(pair[0]) != len(pair[1]):
        raise ValueError(f"a has {len(pair[0])} samples and b {len(pair[1])}, expected as many")
    return pair
