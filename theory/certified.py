"""The bottleneck of a binary label, solved to a certified distance from its global optimum.

A posterior is one number, r = p(y=1|t), here by its logit z. With a(x) = p(x) / mixture(x),

    log c(z) = L(z) - beta log(1 + e^z) + const,   L(z) = log sum_x a(x) exp(beta q(x) z + h(x)),

and both L and log(1 + e^z) are convex. On an interval the chord of L less the tangents of the
other is therefore above log c, in closed form: intervals are halved until no maximum can hide.
Logarithms are natural; where a ``ratio`` (class,) is asked for, it is a(x).
"""

import numpy as np
from scipy.special import expit, logit

from .checks import Floats
from .mixing import SMALLEST, Mixture, Solution, floored_log, log_kernel, refit

# Spacing of the grid, as a fraction of the width 1 / sqrt(beta) that a kernel has in 2 asin sqrt r.
SPACING = 0.25
# Beyond this logit, past that of log(1 + beta), a posterior is 0 or 1 to far below any tolerance.
FAR = 30.0
ROUNDS = 200
SWEEPS = 3
# A class whose mixture is below this has no atom of its own: nothing is divided by it.
THIN = 1e-30
# F is a sum of numbers of order one.
ROUNDING = 1e-14


def log_posteriors(z: Floats) -> Floats:
    """Log p(y|t) of logits, shape (cluster, 2), with both tails exact."""
    return -np.logaddexp(0, np.multiply.outer(z, (1, -1)))


class Problem:
    """p(x) (class,), p(y|x) (class, 2) and beta, with the kernel on a grid of logits."""

    def __init__(self, p: Floats, q: Floats, beta: float) -> None:
        self.p, self.q, self.beta = p, q, beta
        far = FAR + np.log1p(beta)
        with np.errstate(divide="ignore"):
            logits = np.log(q[:, 1]) - np.log(q[:, 0])
        # Optimal posteriors are averages of the p(y|x), so they lie between them.
        self.logits = np.clip(logits, -far, far)
        low, high = self.logits.min(), self.logits.max()
        step = SPACING / np.sqrt(beta)
        angle = np.arange(step, np.pi, step)
        grid = np.concatenate(
            [2 * np.log(np.tan(angle / 2)), np.arange(-far, far, 0.5), [low, high]]
        )
        self.grid = np.unique(grid[(grid >= low) & (grid <= high)])
        self.on_grid = self.kernel(self.grid)

    def kernel(self, z: Floats) -> Floats:
        """exp(-beta KL(p(y|x) || r)) at logits, shape (class, logit)."""
        return np.exp(log_kernel(self.q, log_posteriors(z), self.beta))

    def mixture(self, z: Floats, weights: Floats) -> Floats:
        """Sum over atoms at logits of weight times kernel, shape (class,), kept above zero."""
        return np.maximum(self.kernel(z) @ weights, SMALLEST)

    def log_likelihood(self, z: Floats, weights: Floats) -> float:
        """F of atoms at logits."""
        return float(self.p @ np.log(self.mixture(z, weights)))

    def log_c(self, ratio: Floats, z: Floats) -> Floats:
        """Log c at logits; where it underflows, a number above it that is still far below 0."""
        return floored_log(ratio @ self.kernel(z))

    def slopes(self, ratio: Floats, z: Floats) -> tuple[Floats, Floats, Floats]:
        """Log c and its first two derivatives at logits."""
        kernel = ratio[:, None] * self.kernel(z)
        c = kernel.sum(0)
        mean = self.q[:, 1] @ kernel / c
        variance = np.maximum(self.q[:, 1] ** 2 @ kernel / c - mean**2, 0)
        r = expit(z)
        beta = self.beta
        return np.log(c), beta * (mean - r), beta**2 * variance - beta * r * expit(-z)

    def maxima(self, ratio: Floats) -> tuple[Floats, Floats]:
        """Logits and log c of the maxima of c that may exceed one: off the grid by Newton."""
        c = ratio @ self.on_grid
        around = np.concatenate([[0], c, [0]])
        top = (c >= around[:-2]) & (c >= around[2:]) & ((c > 0.9) | (c == c.max()))
        at = top.nonzero()[0]
        z = self.grid[at]
        low = self.grid[np.maximum(at - 1, 0)]
        high = self.grid[np.minimum(at + 1, len(self.grid) - 1)]
        for _ in range(60):
            _, first, second = self.slopes(ratio, z)
            low, high = np.where(first > 0, z, low), np.where(first > 0, high, z)
            newton = z - first / np.where(second < 0, second, -1)
            inside = (second < 0) & (newton >= low) & (newton <= high)
            moved = np.where(inside, newton, (low + high) / 2)
            still = (np.abs(moved - z) < 1e-9 * (1 + np.abs(z))).all()
            z = moved
            if still:
                break
        return z, self.slopes(ratio, z)[0]

    def bound(self, ratio: Floats, slack: float) -> float:
        """Upper bound of log c over all logits, above its maximum by at most about ``slack``."""
        beta = self.beta
        low, high = self.grid[:-1], self.grid[1:]
        values = floored_log(ratio @ self.on_grid)
        at_low, at_high = values[:-1], values[1:]
        # Beyond the grid's ends c is less than what it is there, by less than e^-FAR.
        reached, settled = float(values.max()), -np.inf
        while len(low):
            middle = (low + high) / 2
            value = self.log_c(ratio, middle)
            reached = max(reached, float(value.max()))
            low, high = np.concatenate([low, middle]), np.concatenate([middle, high])
            at_low, at_high = np.concatenate([at_low, value]), np.concatenate([value, at_high])
            upper = _chord_bound(low, high, at_low, at_high, beta)
            narrow = high - low < 1e-9 * (1 + np.abs(low))
            done = (upper <= max(reached, 0) + slack) | narrow
            settled = max(settled, float(upper[done].max(initial=-np.inf)))
            low, high = low[~done], high[~done]
            at_low, at_high = at_low[~done], at_high[~done]
        return max(reached, settled)


def _chord_bound(low: Floats, high: Floats, at_low: Floats, at_high: Floats, beta: float) -> Floats:
    """Greatest value of (chord of L) - beta log(1 + e^z) on intervals, given log c at their ends.

    Written from the lower end, so that large terms do not cancel: with z = low + s,
    log(1 + e^z) - log(1 + e^low) = log(1 + expit(low) (e^s - 1)). Positive logits are mirrored:
    the labels change places.
    """
    mirror = low > 0
    low, high = np.where(mirror, -high, low), np.where(mirror, -low, high)
    at_low, at_high = np.where(mirror, at_high, at_low), np.where(mirror, at_low, at_high)
    width = high - low
    growth = np.log1p(expit(low) * np.expm1(width))
    slope = (at_high - at_low + beta * growth) / width
    target = np.clip(slope / beta, expit(low), expit(high))
    best = np.clip(logit(target) - low, 0, width)
    return at_low + slope * best - beta * np.log1p(expit(low) * np.expm1(best))


def excess(p: Floats, q: Floats, beta: float, mixture: Mixture) -> float:
    """Greatest log c of a mixture, off the grid by Newton's method."""
    problem = Problem(p, q, beta)
    z, weights = _begin(problem, mixture)
    return float(problem.maxima(p / problem.mixture(z, weights))[1].max())


def solve(p: Floats, q: Floats, beta: float, tolerance: float, start: Mixture | None) -> Solution:
    """The mixture whose F is within ``tolerance`` nat of the global optimum, from any start.

    The maxima of c become atoms, weights are refitted, and atoms that meet are fused, until no
    maximum exceeds one, with Newton's method on weights and logits together in every round. Not
    converged when `ROUNDS` rounds were not enough; the gap is certified all the same.
    """
    problem = Problem(p, q, beta)
    z, weights = _begin(problem, start)
    gap, value = np.inf, -np.inf
    for _ in range(ROUNDS):
        z, weights = _cover(problem, z, weights)
        ratio = p / problem.mixture(z, weights)
        peaks, heights = problem.maxima(ratio)
        if heights.max() <= tolerance / 2:
            gap = problem.bound(ratio, tolerance / 10)
            if gap <= tolerance:
                break
        z = np.concatenate([z, peaks])
        weights = np.concatenate([weights, np.zeros(len(peaks))])
        weights = refit(p, problem.kernel(z), weights)
        z, weights = _fuse(problem, z[weights > 0], weights[weights > 0])
        last, value = value, problem.log_likelihood(z, weights)
        if value - last < ROUNDING:
            z, weights = _sweep(problem, z, weights)
        z, weights = _polish(problem, z, weights)
    else:
        gap = problem.bound(p / problem.mixture(z, weights), tolerance / 10)
    mixture = Mixture(weights, np.exp(log_posteriors(z)))
    return Solution(mixture, gap, gap <= tolerance)


def _begin(problem: Problem, start: Mixture | None) -> tuple[Floats, Floats]:
    """Logits and weights of the start, with a spread of atoms where it leaves a class far away."""
    z, weights = np.empty(0), np.empty(0)
    if start is not None:
        log_r = floored_log(start.posteriors)
        z = np.clip(log_r[:, 1] - log_r[:, 0], problem.grid[0], problem.grid[-1])
        weights = start.weights
        if problem.kernel(z).max(1).min() > 1e-9:
            return z, weights / weights.sum()
    spread = problem.grid[:: round(1 / SPACING)]
    weights = np.concatenate([weights / 2, np.full(len(spread), 1 / len(spread))])
    return np.concatenate([z, spread]), weights / weights.sum()


def _cover(problem: Problem, z: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """The same, with an atom near every class that all others have left: rare ones, mostly."""
    left = problem.mixture(z, weights) < THIN
    if not left.any():
        return z, weights
    near = np.unique(np.searchsorted(problem.grid, problem.logits[left]))
    share = max(float(problem.p[left].sum()), THIN)
    weights = np.concatenate([weights * (1 - share), np.full(len(near), share / len(near))])
    return np.concatenate([z, problem.grid[near]]), weights / weights.sum()


def _fuse(problem: Problem, z: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Neighbours closer than a kernel's width become one atom where F does not fall."""
    order = z.argsort()
    z, weights = z[order], weights[order]
    value = problem.log_likelihood(z, weights)
    i = 0
    while i < len(z) - 1:
        angles = 2 * np.arctan(np.exp(z[i : i + 2] / 2))
        if np.diff(angles) * np.sqrt(problem.beta) < 2 * SPACING:
            total = weights[i] + weights[i + 1]
            middle = weights[i : i + 2] @ z[i : i + 2] / total
            fewer = np.delete(z, i), np.delete(weights, i)
            fewer[0][i], fewer[1][i] = middle, total
            fused = problem.log_likelihood(*fewer)
            if fused >= value - ROUNDING:
                (z, weights), value = fewer, fused
                continue
        i += 1
    return z, weights


def _sweep(problem: Problem, z: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Some Blahut-Arimoto iterations: rare clusters, which F hardly feels, settle by them."""
    for _ in range(SWEEPS):
        share = (problem.p / problem.mixture(z, weights))[:, None] * problem.kernel(z)
        log_r = floored_log(share.T @ problem.q)
        z = np.clip(log_r[:, 1] - log_r[:, 0], problem.grid[0], problem.grid[-1])
        weights = weights * share.sum(0)
    return z, weights / weights.sum()


def _polish(problem: Problem, z: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Newton's method on weights and logits together: the last digits of I(X;T).

    It goes on while F rises, and once F is exact to rounding while the gradient falls.
    """
    count = len(z)
    if problem.mixture(z, weights).min() < THIN:
        return z, weights
    value, (gradient, hessian) = problem.log_likelihood(z, weights), _newton(problem, z, weights)
    for _ in range(20):
        step = np.linalg.lstsq(hessian, -gradient, rcond=1e-13)[0]
        moved = np.clip(z + step[count:], problem.grid[0], problem.grid[-1])
        weighed = weights + step[:count]
        if (weighed <= 0).any() or problem.mixture(moved, weighed).min() < THIN:
            break
        weighed = weighed / weighed.sum()
        reached = problem.log_likelihood(moved, weighed)
        beyond, curvature = _newton(problem, moved, weighed)
        flatter = np.abs(beyond).max() < np.abs(gradient).max()
        if reached < value + ROUNDING and not (flatter and reached > value - ROUNDING):
            break
        z, weights, value, gradient, hessian = moved, weighed, reached, beyond, curvature
    return z, weights


def _newton(problem: Problem, z: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Gradient and second derivatives of F(w, z) - (sum of w) in (weights, logits)."""
    p, beta, q = problem.p, problem.beta, problem.q[:, 1]
    kernel = problem.kernel(z)
    share = kernel / (kernel @ weights)[:, None]
    r = expit(z)
    pull = beta * (q[:, None] - r)
    slope = p @ (pull * share)
    gradient = np.concatenate([p @ share - 1, weights * slope])
    both = np.hstack([share, pull * share * weights])
    hessian = -both.T @ (p[:, None] * both)
    index = np.arange(len(z))
    hessian[index, index + len(z)] += slope
    hessian[index + len(z), index] += slope
    second = p @ (pull**2 * share) - beta * r * expit(-z) * (p @ share)
    hessian[index + len(z), index + len(z)] += weights * second
    return gradient, hessian
