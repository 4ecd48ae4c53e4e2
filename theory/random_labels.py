"""Fair-coin labels, of which nothing can be learned: all that a classifier gains is its gap.

The majority vote in each cell of a partition has risk 1/2, whatever the sample; on m samples it
errs less often, by a gap that is known exactly. It shows that no number of cells smaller than
their true one bounds the gap, 2^H(T) least of all.
"""

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike
from scipy.special import gammaln
from scipy.stats import binom

from .capacity import READINGS, cell_count, entropy_bound, input_compression
from .checks import Floats
from .information import entropy


def expected_gap(p_t: ArrayLike, samples: int) -> float:
    """Mean gap of the majority vote on ``samples`` m of fair labels, in cells of ``p_t`` (t,).

    A cell that holds j samples gains E|Binomial(j, 1/2) - j/2| = n C(j, n)/2^j, n = floor(j/2) + 1
    (de Moivre), and j is Binomial(m, p(t)). For K equal cells and many samples in each this is
    sqrt(K/(2 pi m)).

    ValueError if ``p_t`` is no distribution or samples are below 1.

    >>> print(round(expected_gap(np.full(64, 1 / 64), 3277), 4))
    0.0556
    """
    p = _distribution(p_t, samples)
    j = np.arange(samples + 1)
    n = j // 2 + 1
    log_choose = gammaln(j[1:] + 1) - gammaln(n[1:] + 1) - gammaln(j[1:] - n[1:] + 1)
    gain = np.append(0, n[1:] * np.exp(log_choose - j[1:] * np.log(2)))
    values, number = np.unique(p, return_counts=True)
    means = [binom.pmf(j, samples, one) @ gain for one in values]
    return float(number @ means) / samples


def sampled_gaps(p_t: ArrayLike, samples: int, draws: int, rng: np.random.Generator) -> Floats:
    """Gap of the majority vote in each of ``draws`` samples of size ``samples``: (draws,).

    ValueError as for `expected_gap`.
    """
    p = _distribution(p_t, samples)
    gaps = np.empty(draws)
    for i in range(draws):
        counts = rng.multinomial(samples, p)
        counts = counts[counts > 0]
        gaps[i] = np.abs(rng.binomial(counts, 0.5) - counts / 2).sum() / samples
    return gaps


def counter_example(
    large: float, small_cells: int, samples: int, *, delta: float = 0.05
) -> xr.Dataset:
    """One cell of probability ``large`` and ``small_cells`` that share the rest, on fair labels.

    Few bits, many cells: 2^H(T) is near 1, while each rare cell remembers the labels it was shown.
    The partition does not depend on the sample, the label nor anything else.

    Dataset: ``entropy`` H(T) = I(X;T) in bits, ``gap``, the expected one, and the bounds,
    ``input_compression`` along ``reading`` (all of `theory.capacity.READINGS`), ``cell_count`` of
    the true number, and the best ``entropy_bound`` over 99 values of eta.

    ValueError unless large is between 0 and 1, there is a small cell, samples are 1 or more and
    delta is between 0 and 1.

    >>> found = counter_example(0.7, 10_000, 1000)
    >>> print(f"{found.gap:.4f} > {found.input_compression.sel(reading='one-sided'):.4f}")
    0.1583 > 0.1078
    """
    if not 0 < large < 1:
        raise ValueError(f"large is {large}, expected a probability between 0 and 1")
    if small_cells < 1:
        raise ValueError(f"small_cells are {small_cells}, expected 1 or more")
    p = np.append(large, np.full(small_cells, (1 - large) / small_cells))
    h = float(entropy(p))
    etas = np.arange(1, 100) / 100
    return xr.Dataset(
        {
            "entropy": ((), h, {"units": "bit", "long_name": "H(T) = I(X;T)"}),
            "gap": ((), expected_gap(p, samples), _one("expected generalisation gap")),
            "input_compression": (
                "reading",
                [input_compression(h, samples, reading=r, delta=delta) for r in READINGS],
                _one("input-compression bound of 2^I(X;T) cells"),
            ),
            "cell_count": (
                (),
                cell_count(len(p), samples, delta=delta),
                _one("bound of the true number of cells"),
            ),
            "entropy_bound": (
                (),
                entropy_bound(h, samples, etas, delta=delta).min(),
                _one("bound of 2^(H(T)/eta) cells at the best eta"),
            ),
        },
        {"reading": list(READINGS)},
        {"delta": delta, "samples": samples},
    )


def _one(long_name: str) -> dict[str, str]:
    return {"units": "1", "long_name": long_name}


def _distribution(p_t: ArrayLike, samples: int) -> Floats:
    p = np.asarray(p_t, dtype=float)
    if p.ndim != 1 or not (p >= 0).all() or not abs(p.sum() - 1) <= 1e-9:
        raise ValueError(
            f"p_t has shape {p.shape} and sums to {p.sum():.12g}, expected probabilities (t,)"
        )
    if samples < 1:
        raise ValueError(f"samples are {samples}, expected 1 or more")
    return p
