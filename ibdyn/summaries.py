"""Sums over the patterns of what networks answered: loss, error, scatter of classes, saturation.

One member a thread, each pattern in its turn, so a member's bits do not depend on the others.
"""

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from .elementary import FAST, wide
from .sources import SOURCES


@njit(**FAST)
def member_losses(log_p, truth, drawn, in_train, out):
    """Sums over the patterns of the loss and the error, on the training and the test set."""
    labels, patterns = log_p.shape
    out[:] = 0.0
    for s in range(patterns):
        guess, expected = 0, 0.0
        for y in range(labels):
            guess = y if log_p[y, s] > log_p[guess, s] else guess
            expected -= truth[s, y] * log_p[y, s]
        if not in_train[s]:
            out[1] += expected
            out[3] += 1.0 - truth[s, guess]
        elif drawn.size > 0:
            out[0] -= log_p[drawn[s], s]
            out[2] += drawn[s] != guess
        else:
            out[0] += expected
            out[2] += 1.0 - truth[s, guess]


@njit(parallel=True, cache=True, **FAST)
def all_losses(log_p, truth, drawn, in_train, out, sources=SOURCES):
    """`member_losses` of every member."""
    for k in prange(log_p.shape[0]):
        member_losses(log_p[k], truth, drawn[k], in_train[k], out[k])


def losses(
    log_p: NDArray, truth: NDArray, drawn: NDArray[np.int64] | None, in_train: NDArray[np.bool_]
) -> NDArray:
    """Mean loss in nats, and error rate, of training and test set: (2, split, member).

    ``log_p`` (member, label, pattern), ``truth`` p(y|x) (pattern, label), ``drawn`` (member,
    pattern) the labels trained on where they were drawn, ``in_train`` (member, pattern). Every
    pattern of a split counts the same. The training set is judged by the labels trained on, the
    test set in expectation under p(y|x); a split without patterns gives NaN.
    """
    sums = np.empty((len(log_p), 4))
    drawn = np.empty((len(log_p), 0), np.int64) if drawn is None else drawn
    all_losses(log_p, truth, drawn, in_train, sums)
    size = np.stack([in_train.sum(-1), (~in_train).sum(-1)]).astype(float)
    size[size == 0] = np.nan
    return sums.T.reshape(2, 2, -1) / size


def gaussian_losses(
    mean: NDArray, truth: NDArray, drawn: NDArray | None, variance: float, in_train: NDArray
) -> NDArray:
    """Mean of -ln N(y; mean, variance), in nats, of training and test set: (split, member).

    ``mean`` (member, pattern) is what the networks answer, ``truth`` (pattern,) the mean of the
    real label y, ``variance`` that of y; ``drawn`` (member, pattern) and ``in_train`` as for
    `losses`: the training set is judged by the labels trained on where they were drawn, the rest
    in expectation, (truth - mean)^2 / 2 variance + 1/2 + 1/2 ln(2 pi variance).
    """
    mean = mean.astype(np.float64)
    constant = np.log(2 * np.pi * variance) / 2
    expected = (truth - mean) ** 2 / (2 * variance) + 0.5 + constant
    trained = expected if drawn is None else (drawn - mean) ** 2 / (2 * variance) + constant
    size = np.stack([in_train.sum(-1), (~in_train).sum(-1)]).astype(float)
    size[size == 0] = np.nan
    sums = [np.where(in_train, trained, 0).sum(-1), np.where(in_train, 0, expected).sum(-1)]
    return np.stack(sums) / size


@njit(**FAST)
def member_geometry(t, p_x, p_xy, low, high, out):
    """Sums over the patterns of one layer, unit by unit, into out: within, between, saturation."""
    wide()
    units, patterns = t.shape
    labels = p_xy.shape[0]
    p_y = np.zeros(labels)
    for y in range(labels):
        p_y[y] = p_xy[y].sum()
    centred = np.empty(patterns)
    within = between = 0.0
    near = np.int32(0)
    for j in range(units):
        row = t[j]
        mean = 0.0
        for s in range(patterns):
            mean += p_x[s] * np.float64(row[s])
        for s in range(patterns):
            near += np.int32((row[s] < low) | (row[s] > high))
        square = 0.0
        for s in range(patterns):
            centred[s] = np.float64(row[s]) - mean
            square += p_x[s] * centred[s] * centred[s]
        # The moments of the labels add up to zero, so the last is known.
        around = rest = 0.0
        for y in range(labels):
            moment = 0.0
            if y < labels - 1:
                for s in range(patterns):
                    moment += p_xy[y, s] * centred[s]
                rest -= moment
            else:
                moment = rest
            if p_y[y] > 0.0:
                around += moment * moment / p_y[y]
        within += square - around
        between += around
    out[0], out[1], out[2] = within, between, near / (units * patterns)


@njit(parallel=True, cache=True, **FAST)
def all_geometry(t, p_x, p_xy, low, high, out, sources=SOURCES):
    """`member_geometry` of every member."""
    for k in prange(t.shape[0]):
        member_geometry(t[k], p_x, p_xy, low, high, out[k])


def class_geometry(
    activations: NDArray, p_x: NDArray, p_xy: NDArray, low: float, high: float
) -> NDArray:
    """Scatter within and between the classes, and the share of units outside low..high.

    ``activations`` (member, pattern, unit), ``p_x`` (pattern,), ``p_xy`` (label, pattern); the
    result is (member, 3). Scatter is in units of the activations squared, see `probes.geometry`.
    """
    t = np.ascontiguousarray(activations.transpose(0, 2, 1))
    out = np.empty((len(t), 3))
    all_geometry(t, p_x, p_xy, low, high, out)
    return out
