"""Forward and backward pass of one small network over one tile of patterns.

Memory layout. A tile holds up to TILE patterns, feature-major: `acts[l, j, s]` is unit j of
layer l for pattern s, so every inner loop runs over s, has a fixed length and is contiguous
(and, the buffer being aligned, becomes whole vector instructions). The unused patterns of a
partial tile have zero inputs and a zero delta at the output: they are computed and add
nothing. On the way back the activations of a layer are replaced by its delta. All of this
stays in the L1 cache for the networks this is meant for. Parameters of a network are one flat
vector `theta`: for each layer W (fan_out, fan_in) row-major, then b (fan_out).
"""

import numpy as np
from numba import njit

from . import elementary as m
from .elementary import FAST, ORDERED, like, wide

TILE = 256
ALIGNMENT = 64  # bytes of a cache line

LINEAR, TANH, RELU, SIGMOID, SOFTPLUS, SOFTSIGN, SOFTMAX = range(7)
ACTIVATIONS = {
    "linear": LINEAR,
    "tanh": TANH,
    "relu": RELU,
    "sigmoid": SIGMOID,
    "softplus": SOFTPLUS,
    "softsign": SOFTSIGN,
}
OUTPUTS = {"softmax": SOFTMAX, "sigmoid": SIGMOID, "linear": LINEAR}


@njit(**FAST)
def tile_buffer(layers, units, theta):
    """Zeros (layers, units, TILE) in the type of `theta`, the first on a cache line."""
    size = layers * units * TILE
    spare = ALIGNMENT // theta.itemsize
    flat = np.zeros(size + spare, theta.dtype)
    skip = (-flat.ctypes.data % ALIGNMENT) // theta.itemsize
    return flat[skip : skip + size].reshape((layers, units, TILE))


@njit(**FAST)
def weighted_sum(out, j, rows, count, theta, start, stride, bias):
    """out[j, s] = bias + sum_c theta[start + c stride] rows[c, s], four rows in one pass."""
    wide()
    head = count % 4
    if head == 0:
        for s in range(TILE):
            out[j, s] = bias
    elif head == 1:
        t = theta[start]
        for s in range(TILE):
            out[j, s] = bias + t * rows[0, s]
    elif head == 2:
        t, u = theta[start], theta[start + stride]
        for s in range(TILE):
            out[j, s] = bias + t * rows[0, s] + u * rows[1, s]
    else:
        t, u, v = theta[start], theta[start + stride], theta[start + 2 * stride]
        for s in range(TILE):
            out[j, s] = bias + t * rows[0, s] + u * rows[1, s] + v * rows[2, s]
    for c in range(head, count, 4):
        p = start + c * stride
        t, u, v, w = theta[p], theta[p + stride], theta[p + 2 * stride], theta[p + 3 * stride]
        for s in range(TILE):
            out[j, s] += (t * rows[c, s] + u * rows[c + 1, s]) + (
                v * rows[c + 2, s] + w * rows[c + 3, s]
            )


@njit(**FAST)
def add_dots(gradient, start, delta, j, rows, count):
    """gradient[start + c] += sum_s delta[j, s] rows[c, s], four rows in one pass."""
    wide()
    odd = count % 4
    for c in range(odd):
        t = like(0.0, delta[j, 0])
        for s in range(TILE):
            t += delta[j, s] * rows[c, s]
        gradient[start + c] += t
    for c in range(odd, count, 4):
        t = u = v = w = like(0.0, delta[j, 0])
        for s in range(TILE):
            t += delta[j, s] * rows[c, s]
            u += delta[j, s] * rows[c + 1, s]
            v += delta[j, s] * rows[c + 2, s]
            w += delta[j, s] * rows[c + 3, s]
        gradient[start + c] += t
        gradient[start + c + 1] += u
        gradient[start + c + 2] += v
        gradient[start + c + 3] += w


@njit(**FAST)
def row_sum(rows, j):
    """Sum of one row of a tile."""
    wide()
    total = like(0.0, rows[j, 0])
    for s in range(TILE):
        total += rows[j, s]
    return total


def applied(function):
    """The loop that puts function(z) in the place of z."""

    @njit(**FAST)
    def apply(z, units):
        wide()
        for j in range(units):
            for s in range(TILE):
                z[j, s] = function(z[j, s])

    return apply


def chained(slope):
    """The loop that puts slope(a) * delta in the place of row i of the activations."""

    @njit(**FAST)
    def chain(a, i, delta):
        wide()
        for s in range(TILE):
            a[i, s] = slope(a[i, s]) * delta[0, s]

    return chain


tanh, relu, sigmoid = applied(m.tanh), applied(m.relu), applied(m.sigmoid)
softplus, softsign = applied(m.softplus), applied(m.softsign)
chain_tanh, chain_relu = chained(m.tanh_slope), chained(m.relu_slope)
chain_sigmoid, chain_softplus = chained(m.sigmoid_slope), chained(m.softplus_slope)
chain_softsign, chain_linear = chained(m.softsign_slope), chained(m.linear_slope)


@njit(**FAST)
def activate(z, units, activation):
    """Replace pre-activations by activations."""
    if activation == TANH:
        tanh(z, units)
    elif activation == RELU:
        relu(z, units)
    elif activation == SIGMOID:
        sigmoid(z, units)
    elif activation == SOFTPLUS:
        softplus(z, units)
    elif activation == SOFTSIGN:
        softsign(z, units)


@njit(**FAST)
def chain_rule(a, i, delta, activation):
    """Replace row i of the activations by slope times delta."""
    if activation == TANH:
        chain_tanh(a, i, delta)
    elif activation == RELU:
        chain_relu(a, i, delta)
    elif activation == SIGMOID:
        chain_sigmoid(a, i, delta)
    elif activation == SOFTPLUS:
        chain_softplus(a, i, delta)
    elif activation == SOFTSIGN:
        chain_softsign(a, i, delta)
    else:
        chain_linear(a, i, delta)


@njit(**ORDERED)
def softmax(z, units, spare):
    """Replace the logits by probabilities; `spare` holds the maximum and the sum.

    In order, and by division: equal patterns must have equal bits wherever they stand in a tile,
    and a compiler that may take reciprocals does so for some of the places alone.
    """
    wide()
    for s in range(TILE):
        spare[0, s] = z[0, s]
        spare[1, s] = like(0.0, z[0, s])
    for j in range(1, units):
        for s in range(TILE):
            spare[0, s] = z[j, s] if z[j, s] > spare[0, s] else spare[0, s]
    for j in range(units):
        for s in range(TILE):
            z[j, s] = m.exp(z[j, s] - spare[0, s])
            spare[1, s] += z[j, s]
    for j in range(units):
        for s in range(TILE):
            z[j, s] /= spare[1, s]


@njit(**FAST)
def forward(theta, sizes, activation, acts):
    """Fill acts[1:] from acts[0]; at the output stay the pre-activations, for `output`."""
    wide()
    layers = sizes.size - 1
    weights = 0
    for layer in range(layers):
        fan_in, fan_out = sizes[layer], sizes[layer + 1]
        biases = weights + fan_in * fan_out
        below, above = acts[layer], acts[layer + 1]
        for j in range(fan_out):
            row = weights + j * fan_in
            weighted_sum(above, j, below, fan_in, theta, row, 1, theta[biases + j])
        if layer < layers - 1:
            activate(above, fan_out, activation)
        weights = biases + fan_out


@njit(**FAST)
def output(z, units, kind, spare):
    """Replace the output's pre-activations by the output; `kind` is one of `OUTPUTS`."""
    if kind == SIGMOID:
        sigmoid(z, units)
    elif kind == SOFTMAX:
        softmax(z, units, spare)


@njit(**ORDERED)
def log_probabilities(z, units, low, high, out):
    """Write log p(label) of the patterns low..high of a tile to out (label, pattern), in nats."""
    wide()
    labels = out.shape[0]
    total, largest = np.zeros(TILE), np.zeros(TILE)
    for s in range(TILE):
        # A sigmoid is the softmax of (0, z).
        largest[s] = max(0.0, z[0, s]) if units == 1 else z[0, s]
    for j in range(1, units):
        for s in range(TILE):
            largest[s] = max(largest[s], np.float64(z[j, s]))
    for j in range(units):
        for s in range(TILE):
            total[s] += m.exp(np.float64(z[j, s]) - largest[s])
    if units == 1:
        for s in range(TILE):
            total[s] += m.exp(-largest[s])
    if labels == 2:
        for s in range(TILE):
            total[s] = m.log1p(total[s] - 1.0)
    else:
        for s in range(TILE):
            total[s] = np.log(total[s])
    for label in range(labels):
        j = label - (labels - units)
        for s in range(high - low):
            out[label, low + s] = (0.0 if j < 0 else np.float64(z[j, s])) - largest[s] - total[s]


@njit(**FAST)
def backward(theta, sizes, activation, acts, spare, gradient):
    """Add the gradient of this tile to `gradient`; acts[-1] holds the delta of the output.

    Leaves in acts[l] the delta of layer l for every l > 0.
    """
    wide()
    end = theta.size
    for layer in range(sizes.size - 2, -1, -1):
        fan_in, fan_out = sizes[layer], sizes[layer + 1]
        biases = end - fan_out
        weights = biases - fan_in * fan_out
        below, delta = acts[layer], acts[layer + 1]
        for j in range(fan_out):
            add_dots(gradient, weights + j * fan_in, delta, j, below, fan_in)
            gradient[biases + j] += row_sum(delta, j)
        if layer > 0:
            zero = like(0.0, theta[0])
            for i in range(fan_in):
                weighted_sum(spare, 0, delta, fan_out, theta, weights + i, fan_in, zero)
                chain_rule(below, i, spare, activation)
        end = weights


@njit(**FAST)
def load(inputs, x, patterns):
    """Inputs of the tile from the rows `patterns` of x, zero beyond them."""
    wide()
    for i in range(x.shape[1]):
        for s in range(patterns.size):
            inputs[i, s] = x[patterns[s], i]
        for s in range(patterns.size, TILE):
            inputs[i, s] = like(0.0, x[0, 0])


@njit(**FAST)
def output_delta(answer, target, rows, scale):
    """Replace the output by scale * (output - target[rows]), zero beyond the rows."""
    wide()
    for j in range(target.shape[1]):
        for s in range(rows.size):
            answer[j, s] = scale * (answer[j, s] - target[rows[s], j])
        for s in range(rows.size, TILE):
            answer[j, s] = like(0.0, scale)
