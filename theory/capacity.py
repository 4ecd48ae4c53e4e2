"""Bounds on the generalisation gap by how many classifiers there are: of parameters, or of cells.

The gap is R - R', of the risk R on the distribution of the patterns and the mean R' over m
independent samples, of a loss between 0 and 1. By Hoeffding's inequality and a union bound it is
below sqrt((log of the number of classifiers + log 1/delta)/2m); what differs is what is counted:

`classical`: settings of the parameters. Its covering step is heuristic.
`cell_count`: labellings of a partition of X. A theorem if the partition was chosen before the
sample was seen, and for classifiers that say one label in each cell.
`entropy_bound`: the same for 2^(H(T)/eta) cells, a theorem too.
`input_compression`: labellings of 2^I(X;T) cells, *not* a theorem (`theory.random_labels` holds a
counter-example).

I(X;T|Y) is no bound here: in Kawaguchi et al. 2023 it stands among constants that are not known
for a trained network, and it is used to order networks only (`conditional_information`).
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import wrightomega

from .checks import Floats

# How the input-compression bound has been written (see `input_compression`).
READINGS = ("two-sided", "one-sided", "post-ln", "post-log2")


def classical(parameters: ArrayLike, samples: ArrayLike, *, delta: float = 0.05) -> Floats:
    """Gap epsilon of classifiers with d ``parameters``, covered by (1/epsilon)^d of them.

    ``parameters`` and the m ``samples`` broadcast.
    epsilon^2 = (d log(1/epsilon) + log(1/delta))/2m, one-sided. That a cover at distance epsilon
    takes (1/epsilon)^d classifiers and changes no loss by more than epsilon hides a Lipschitz
    constant: the step is heuristic. From epsilon = 1 on the cover is one classifier.

    ValueError for negative parameters, samples below 1 or a delta not between 0 and 1.

    >>> print(classical(294, [410, 3277]).round(3))
    [0.501 0.25 ]
    """
    d, m = np.asarray(parameters, dtype=float), checked_samples(samples, delta)
    if (d < 0).any():
        raise ValueError(f"parameters are {d.min():g}, expected 0 or more")
    alone = np.log(1 / delta) / (2 * m)
    # With u = epsilon^2 and v = 4mu/d the equation is log v + v = 2 log(1/delta)/d + log(4m/d).
    share = np.where(d == 0, 1, d) / (4 * m)
    covered = share * wrightomega(alone / share - np.log(share))
    return np.sqrt(np.where(d == 0, alone, np.maximum(covered, alone)))


def cell_count(
    cells: ArrayLike, samples: ArrayLike, *, labels: int = 2, sides: int = 2, delta: float = 0.05
) -> Floats:
    """Gap of classifiers that say one of ``labels`` in each of K ``cells``; NaN where K is NaN.

    sqrt((K log |Y| + log(sides/delta))/2m) exceeds |R - R'| (two ``sides``) or R - R' (one) of all
    |Y|^K classifiers at once, with probability 1 - ``delta``. K counts the cells of the partition,
    occupied by the sample or not, and the partition must not depend on the sample: cells of a
    layer trained on it make a number, but no theorem. ``cells`` and ``samples`` broadcast.

    ValueError for cells or samples below 1, fewer than 2 labels, sides other than 1 and 2, or a
    delta not between 0 and 1.

    >>> print(cell_count([2, 64, 4096], 3277).round(4))
    [0.0278 0.0856 0.6586]
    """
    k, m = np.asarray(cells, dtype=float), checked_samples(samples, delta)
    if (k < 1).any():
        raise ValueError(f"cells are {np.nanmin(k):g}, expected 1 or more")
    check_labels(labels)
    if sides not in (1, 2):
        raise ValueError(f"sides are {sides}, expected 1 or 2")
    return np.sqrt((k * np.log(labels) + np.log(sides / delta)) / (2 * m))


def input_compression(
    information: ArrayLike,
    samples: ArrayLike,
    *,
    reading: str = "two-sided",
    labels: int = 2,
    delta: float = 0.05,
) -> Floats:
    """The "bound" that counts 2^I cells, I(X;T) = ``information`` in bits. It is not a theorem.

    Even if the partition does not depend on the sample, it need not have as few as 2^I(X;T) cells
    (`theory.random_labels.counter_example`). By ``reading``, the square root of, over 2m:

    two-sided, one-sided: 2^I log |Y| + log(2/delta) or log(1/delta), the form of `cell_count`.
    post-ln, post-log2: 2^I + log(1/delta) or log2(1/delta), as printed in the literature with a
    logarithm of unknown base. They lack the factor log 2 (of two labels), so they are looser than
    the one-sided form. ``information`` and ``samples`` broadcast.

    ValueError for another reading, samples below 1, fewer than 2 labels, or a delta not between 0
    and 1.

    >>> print(input_compression(5.5695, [410, 1843, 3277]).round(4))
    [0.2113 0.0997 0.0747]
    """
    m = checked_samples(samples, delta)
    if reading not in READINGS:
        raise ValueError(f"reading {reading!r} is unknown, expected one of {', '.join(READINGS)}")
    check_labels(labels)
    per_cell, confidence = {
        "two-sided": (np.log(labels), np.log(2 / delta)),
        "one-sided": (np.log(labels), np.log(1 / delta)),
        "post-ln": (1.0, np.log(1 / delta)),
        "post-log2": (1.0, np.log2(1 / delta)),
    }[reading]
    return np.sqrt(
        (np.exp2(np.asarray(information, dtype=float)) * per_cell + confidence) / (2 * m)
    )


def entropy_bound(
    entropy: ArrayLike,
    samples: ArrayLike,
    eta: ArrayLike,
    *,
    labels: int = 2,
    delta: float = 0.05,
) -> Floats:
    """Gap of classifiers on a partition of ``entropy`` H(T) bits: what is true of 2^I cells.

    By Markov's inequality on -log2 p(T), all but a share ``eta`` of the probability is in cells of
    2^(-H/eta) or more, which are no more than 2^(H/eta). On these the union bound holds, the rest
    adds no more than its probability or its share of the sample:

        sqrt((2^(H/eta) log |Y| + log(2/delta))/2m) + eta + sqrt(log(2/delta)/2m)

    Each of R - R' and R' - R is below it with probability 1 - ``delta``, for a partition that does
    not depend on the sample. It holds at each eta, so at the best one too, as that depends on
    H(T), m and delta alone. The exponent H/eta is that of Hafez-Kolahi et al. 2019. ``entropy``,
    ``samples`` and ``eta`` broadcast.

    ValueError for a negative entropy, an eta not between 0 and 1, samples below 1, fewer than 2
    labels, or a delta not between 0 and 1.
    """
    h, share, m = np.asarray(entropy, dtype=float), np.asarray(eta), checked_samples(samples, delta)
    if (h < 0).any():
        raise ValueError(f"entropy is {np.nanmin(h):g}, expected 0 bits or more")
    if not ((share > 0) & (share < 1)).all():
        raise ValueError(f"eta is {share}, expected between 0 and 1")
    check_labels(labels)
    confidence = np.log(2 / delta)
    with np.errstate(over="ignore"):
        heavy = np.exp2(h / share)
    return (
        np.sqrt((heavy * np.log(labels) + confidence) / (2 * m))
        + share
        + np.sqrt(confidence / (2 * m))
    )


def vacuous(bound: ArrayLike) -> Floats:
    """1 where a ``bound`` (...) is 1 or more, which no gap of error rates exceeds; else 0, or NaN.

    >>> print(vacuous(cell_count([64, 4096], 410)))
    [0. 1.]
    """
    values = np.asarray(bound, dtype=float)
    return np.where(np.isnan(values), np.nan, values >= 1)


def conditional_information(information_input: ArrayLike, information_label: ArrayLike) -> Floats:
    """I(X;T|Y) = I(X;T) - I(T;Y): what T keeps of X beyond the label, in the units of the two.

    By the chain rule, as T depends on Y through X alone; H(T|Y) where T is a function of X. It
    orders networks by their expected gap (Kawaguchi et al. 2023), it bounds nothing. Arguments
    broadcast.
    """
    return np.asarray(information_input, dtype=float) - np.asarray(information_label, dtype=float)


def checked_samples(samples: ArrayLike, delta: float) -> Floats:
    """``samples`` (...) as floats; ValueError below 1, or for a ``delta`` not between 0 and 1."""
    m = np.asarray(samples, dtype=float)
    if not (m >= 1).all():
        raise ValueError(f"samples are {m.min():g}, expected 1 or more")
    if not 0 < delta < 1:
        raise ValueError(f"delta is {delta}, expected between 0 and 1")
    return m


def check_labels(labels: int) -> None:
    """ValueError for fewer than two ``labels``."""
    if labels < 2:
        raise ValueError(f"labels are {labels}, expected 2 or more")
