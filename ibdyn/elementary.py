"""Elementary functions that become vector code, in the precision of their argument.

One exponential serves them all. Write x = n ln2 + r with |r| <= ln2 / 2; then
exp(x) = 2**n (1 + p) with p = exp(r) - 1 from its Taylor series, and
exp(x) - 1 = 2**n p + (2**n - 1) without cancellation. The series is cut where its next term
falls below the rounding error: r**7 / 7! in float32, r**13 / 13! in float64.

Nothing here calls libm, so a loop over patterns stays a vector loop. Arguments are clamped where
exp would leave the normal range, far beyond the point where the activations saturate. NaN goes
through to the result: hence the clamps as comparisons that are false for NaN, not min and max.
"""

from math import factorial, log
from typing import Any, cast

import numpy as np
from numba import njit, types
from numba.extending import intrinsic, overload

# No "nnan" and no "ninf" in either set: a diverged member has to stay non-finite.
#
# Everything is inlined into the function that Python calls. Else, in the process that compiles,
# a call may be linked to the callee's own machine code, and in later ones, which load the caller
# from the cache, to a copy that was optimised once more: other code, and other bits.
FAST: dict[str, Any] = {
    "forceinline": True,
    "fastmath": {"reassoc", "contract", "arcp", "nsz", "afn"},
    "error_model": "numpy",
}
# Reassociation would undo the reduction of the argument of exp: here the order stays.
ORDERED: dict[str, Any] = {
    "forceinline": True,
    "fastmath": {"contract", "nsz"},
    "error_model": "numpy",
}


@intrinsic
def wide(typing_context):
    """Let LLVM use 512-bit vectors in the calling function (it prefers 256 bits on its own).

    It doubles the speed where the processor has them and changes nothing where it has not.
    llvmlite knows no such attribute, hence the plain `set.add`.
    """

    def codegen(context, builder, signature, arguments):
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        return context.get_dummy_value()

    return types.void(), codegen


def like(value, x):
    """`value` in the floating-point type of `x`: a bare literal would promote to float64."""


@overload(like)
def _like(value, x):
    kind = x
    return lambda value, x: kind(value)


S1, S2, S3, S4, S5, S6, S7 = (np.float32(1 / factorial(k)) for k in range(1, 8))
S_LOG2E, S_SHIFT = np.float32(1 / log(2)), np.float32(1.5 * 2**23)
S_HIGH, S_LOW = np.float32(0.693359375), np.float32(log(2) - 0.693359375)
S_MIN, S_MAX = np.float32(-87.0), np.float32(87.0)
S_BITS, S_BIAS = np.int32(23), np.int32(127 << 23)

D1, D2, D3, D4, D5, D6, D7, D8, D9, D10, D11, D12, D13 = (1 / factorial(k) for k in range(1, 14))
D_LN2, D_LOG2E, D_SHIFT = log(2), 1 / log(2), 1.5 * 2.0**52
D_HIGH, D_LOW = 6.93145751953125e-1, 1.42860682030941723212e-6
D_MIN, D_MAX = -708.0, 708.0
D_BITS, D_BIAS = np.int64(52), np.int64(1023 << 52)


def exp_parts(x):
    """(p, s) with exp(x) = s (1 + p), s a power of two and |p| < 0.42."""


def _exp_parts_single(x):
    x = S_MIN if x < S_MIN else x
    x = S_MAX if x > S_MAX else x
    shifted = x * S_LOG2E + S_SHIFT  # rounds to an integer n, which stands in the low bits
    n = shifted - S_SHIFT
    r = (x - n * S_HIGH) - n * S_LOW
    p = r * (S1 + r * (S2 + r * (S3 + r * (S4 + r * (S5 + r * (S6 + r * S7))))))
    bits = (np.float32(shifted).view(np.int32) << S_BITS) + S_BIAS
    return p, np.int32(bits).view(np.float32)


def _exp_parts_double(x):
    x = D_MIN if x < D_MIN else x
    x = D_MAX if x > D_MAX else x
    shifted = x * D_LOG2E + D_SHIFT
    n = shifted - D_SHIFT
    r = (x - n * D_HIGH) - n * D_LOW
    p = D8 + r * (D9 + r * (D10 + r * (D11 + r * (D12 + r * D13))))
    p = r * (D1 + r * (D2 + r * (D3 + r * (D4 + r * (D5 + r * (D6 + r * (D7 + r * p)))))))
    bits = (np.float64(shifted).view(np.int64) << D_BITS) + D_BIAS
    return p, np.int64(bits).view(np.float64)


@overload(exp_parts, jit_options=cast(Any, ORDERED))
def _exp_parts(x):
    return _exp_parts_single if x == types.float32 else _exp_parts_double


@njit(**ORDERED)
def exp(x):
    """Exponential; arguments are clamped to the normal range."""
    p, s = exp_parts(x)
    return s + s * p


@njit(**ORDERED)
def expm1(x):
    """exp(x) - 1, exact near 0."""
    p, s = exp_parts(x)
    return s * p + (s - like(1.0, x))


def artanh_series(q):
    """artanh(u) / u as a series in q = u**2 <= 0.0295, to the precision of q."""


A1, A2, A3, A4, A5 = (np.float32(1 / (2 * k + 1)) for k in range(1, 6))
C1, C2, C3, C4, C5, C6, C7, C8, C9, C10 = (1 / (2 * k + 1) for k in range(1, 11))
A0 = np.float32(1.0)


def _artanh_single(q):
    return A0 + q * (A1 + q * (A2 + q * (A3 + q * (A4 + q * A5))))


def _artanh_double(q):
    high = C6 + q * (C7 + q * (C8 + q * (C9 + q * C10)))
    return 1.0 + q * (C1 + q * (C2 + q * (C3 + q * (C4 + q * (C5 + q * high)))))


@overload(artanh_series, jit_options=cast(Any, ORDERED))
def _artanh(q):
    return _artanh_single if q == types.float32 else _artanh_double


@njit(**ORDERED)
def log1p(t):
    """log(1 + t) for 0 <= t <= 1: 2 artanh(t / (2 + t)), with 1 + t halved above sqrt(2)."""
    upper = t > like(0.41421356, t)
    t = (t - like(1.0, t)) * like(0.5, t) if upper else t
    u = t / (like(2.0, t) + t)
    return (like(D_LN2, t) if upper else like(0.0, t)) + (u + u) * artanh_series(u * u)


# The activations, and their slopes f'(z) written in terms of the activation a = f(z).
@njit(**ORDERED)
def tanh(z):
    """(exp(2z) - 1) / (exp(2z) + 1)."""
    e = expm1(z + z)
    return e / (e + like(2.0, z))


@njit(**ORDERED)
def tanh_slope(a):
    """1 - a^2."""
    return like(1.0, a) - a * a


@njit(**ORDERED)
def linear_slope(a):
    """1."""
    return like(1.0, a)


@njit(**ORDERED)
def relu(z):
    """max(0, z), where NaN stays NaN."""
    return like(0.0, z) if z < like(0.0, z) else z


@njit(**ORDERED)
def relu_slope(a):
    """0 where the unit is off, else 1."""
    return like(0.0, a) if a <= like(0.0, a) else like(1.0, a)


@njit(**ORDERED)
def sigmoid(z):
    """1 / (1 + exp(-z))."""
    one = like(1.0, z)
    return one / (one + exp(-z))


@njit(**ORDERED)
def sigmoid_slope(a):
    """A (1 - a)."""
    return a * (like(1.0, a) - a)


@njit(**ORDERED)
def softplus(z):
    """log(1 + exp(z)) without overflow."""
    return relu(z) + log1p(exp(-abs(z)))


@njit(**ORDERED)
def softplus_slope(a):
    """sigmoid(z) = 1 - exp(-a)."""
    return -expm1(-a)


@njit(**ORDERED)
def softsign(z):
    """Z / (1 + |z|)."""
    return z / (like(1.0, z) + abs(z))


@njit(**ORDERED)
def softsign_slope(a):
    """(1 - |a|)^2."""
    rest = like(1.0, a) - abs(a)
    return rest * rest
