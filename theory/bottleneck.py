"""The information bottleneck: the most that T can say about Y at each I(X;T), and its encoders.

A point of the curve minimises I(X;T) - beta I(T;Y) over encoders p(t|x) (Tishby, Pereira & Bialek
1999), so 1 / beta is the slope of the curve there. Every point carries its gap: how far its
encoder may be from the optimum. For a binary label the gap is certified.
"""

import warnings

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from . import annealing, certified
from .checks import Floats, checked_joint, positive_row
from .iteration import blahut_arimoto, second_eigenvalue
from .limit import distance, fitted_beta
from .mixing import Mixture, Solution, encode, information
from .sufficiency import reduced

__all__ = ["blahut_arimoto", "curve", "distance", "encoder", "fitted_beta", "squared_curve"]

# The default betas are so many, and end where this share of I(X;Y) is reached.
POINTS = 50
STALLED = 0.999


def curve(
    p_xy: ArrayLike, betas: ArrayLike | None = None, *, tolerance: float = 1e-6
) -> xr.Dataset:
    """The bottleneck curve of a joint distribution ``p_xy`` (x, label), at ``betas`` (beta,).

    Variables: ``information_input`` I(X;T) and ``information_label`` I(T;Y), in bits;
    ``lagrangian`` I(X;T) - beta I(T;Y) and ``gap``, how far above its optimum it may be, in nats;
    ``clusters``, the number of values of T; ``converged``; and the clusters themselves, ``weight``
    (beta, cluster) and ``posterior`` (beta, cluster, label), padded with NaN: `encoder` makes the
    p(t|x) of a point from them. All are along ``beta``. Two scalars in bits say where it ends:
    ``total_information`` I(X;Y), and ``sufficient_information`` H of the minimal sufficient T, the
    classes of equal p(y|x). The attribute ``method`` says how it was solved:

    certified: two labels. The global optimum; ``gap`` <= ``tolerance`` is certified, by a bound
        over all posteriors (Kiefer & Wolfowitz 1956, Lindsay 1983; see `mixing`, `certified`).
    annealed: more labels. Blahut-Arimoto from large beta downwards, fused and extended (see
        `annealing`), then the upper concave envelope. ``gap`` is only what a search from many
        starts found, a lower bound of the true one.
    closed form: Y is a function of X, or independent of it. Then I(T;Y) = min(I(X;T), H(Y)), all
        points between the ends share beta = 1 (Kolchinsky, Tracey & Van Kuyk 2019), and a sweep
        finds only the two ends, so there is a warning; `squared_curve` finds the others.

    Patterns of equal p(y|x) are merged first, which loses nothing. ``converged`` is false where
    the gap stayed above ``tolerance`` or, annealed, the last iteration was cut short. Deep in a
    plateau of the curve I(X;T) is ill-conditioned: it is known only to about the square root of
    the gap.

    Default ``betas``: geometric, from 0.9 of the beta where the curve leaves the origin to the
    first power of two above it where I(T;Y) is 0.999 I(X;Y), so that I(X;T) has all but stalled.

    ValueError, naming the entry, for a ``p_xy`` that is no joint distribution with p(x) > 0
    everywhere, betas that are not positive and finite, a tolerance that is not positive, or
    default betas of independent X and Y.
    """
    p, q, labels = reduced(checked_joint(p_xy))
    if not tolerance > 0:
        raise ValueError(f"tolerance is {tolerance}, expected a positive number of nats")
    independent = len(p) == 1
    if betas is None and independent:
        raise ValueError("p_xy has independent x and y: no beta has a bottleneck, give betas")
    chosen = _default_betas(p, q, tolerance) if betas is None else positive_row("betas", betas)
    if _deterministic(q) or independent:
        method, solutions = "closed form", [_closed(p, q, beta) for beta in chosen]
        if not independent:
            warnings.warn(
                "Y is a function of X: the curve is I(T;Y) = min(I(X;T), H(Y)), and betas find "
                "its two ends only",
                stacklevel=2,
            )
    elif q.shape[1] == 2:
        method, solutions = "certified", _certified(p, q, chosen, tolerance)
    else:
        method, solutions = "annealed", _annealed(p, q, chosen, tolerance)
    return _labelled(p, q, labels, chosen, solutions, method)


def encoder(p_xy: ArrayLike, point: xr.Dataset) -> xr.DataArray:
    """p(t|x) of shape (x, cluster), for one ``point`` of the `curve` of ``p_xy``.

    p(t|x) is proportional to weight(t) exp(-beta KL(p(y|x) || posterior(t))). The point's
    information is that of this encoder. ValueError as for `checked_joint`, for a point that is
    still along beta, or one that has another number of labels than ``p_xy``.

    >>> joint = [[0.4, 0.1], [0.1, 0.4]]
    >>> encoder(joint, curve(joint, [5]).isel(beta=0)).sum("cluster").values.round(12).tolist()
    [1.0, 1.0]
    """
    joint = checked_joint(p_xy)
    if point["weight"].dims != ("cluster",):
        raise ValueError(
            f"point has weight along {point['weight'].dims}, expected ('cluster',): choose a beta"
        )
    if point.sizes["label"] != joint.shape[1]:
        raise ValueError(
            f"point has {point.sizes['label']} labels, p_xy has {joint.shape[1]}, expected the same"
        )
    used = point.isel(cluster=slice(int(point["clusters"])))
    mixture = Mixture(used["weight"].values, used["posterior"].values)
    rows = joint / joint.sum(1, keepdims=True)
    return xr.DataArray(
        encode(rows, mixture, float(point["beta"])),
        dims=("x", "cluster"),
        name="encoder",
        attrs={"units": "1", "long_name": "encoder p(t|x)"},
    )


def squared_curve(p_xy: ArrayLike, lambdas: ArrayLike) -> xr.Dataset:
    """The bottleneck of a Y that is a function of X, by max I(T;Y) - lambda I(X;T)^2 in bits.

    For a joint ``p_xy`` (x, label) at ``lambdas`` (lambda,).
    Unlike a sweep of beta it finds every point of I(T;Y) = min(I(X;T), H(Y)): the optimum is
    I(X;T) = min(1 / (2 lambda), H(Y)) (Kolchinsky, Tracey & Van Kuyk 2019), reached by a T that
    is Y with probability I(X;T) / H(Y) and else a symbol for nothing. Variables
    ``information_input``, ``information_label`` (bits) and ``retention``, that probability, along
    ``lambda`` (per bit).

    ValueError as for `checked_joint` and `positive_row`, or for a Y that is no function of X.
    """
    p, q, _ = reduced(checked_joint(p_xy))
    if not _deterministic(q):
        raise ValueError("p_xy has a y that is no function of x, expected every p(y|x) 0 or 1")
    chosen = positive_row("lambdas", lambdas)
    label_entropy = information(p, q, q)[0] / np.log(2)
    rate = np.minimum(1 / (2 * chosen), label_entropy)
    points = xr.Dataset(coords={"lambda": ("lambda", chosen, _attributes("1/bit", "multiplier"))})
    points["information_input"] = ("lambda", rate, _attributes("bit", "I(X;T)"))
    points["information_label"] = ("lambda", rate, _attributes("bit", "I(T;Y)"))
    share = rate / label_entropy if label_entropy else np.ones_like(rate)
    points["retention"] = ("lambda", share, _attributes("1", "probability that T is Y"))
    return points


def _deterministic(q: Floats) -> bool:
    return bool(((q == 0) | (q == 1)).all())


def _closed(p: Floats, q: Floats, beta: float) -> Solution:
    """A deterministic Y kept whole above beta = 1, and nothing else."""
    mixture = Mixture(p, q) if beta > 1 and len(p) > 1 else Mixture(np.ones(1), (p @ q)[None])
    return Solution(mixture, 0.0, True)


def _certified(p: Floats, q: Floats, betas: Floats, tolerance: float) -> list[Solution]:
    solutions: dict[float, Solution] = {}
    start = None
    for beta in np.unique(betas):
        solutions[beta] = certified.solve(p, q, beta, tolerance, start)
        start = solutions[beta].mixture
    return [solutions[beta] for beta in betas]


def _annealed(p: Floats, q: Floats, betas: Floats, tolerance: float) -> list[Solution]:
    falling = np.unique(betas)[::-1]
    found = list(annealing.anneal(p, q, falling, tolerance))
    found = annealing.improve(p, q, falling, found, tolerance)
    solutions = dict(zip(falling, found, strict=True))
    return [solutions[beta] for beta in betas]


def _default_betas(p: Floats, q: Floats, tolerance: float) -> Floats:
    onset = 1.0 if _deterministic(q) else _onset(p, q)
    last = onset
    reached, whole = 0.0, information(p, q, np.eye(len(p)))[1]
    while reached < STALLED * whole:
        last *= 2
        if _deterministic(q):
            solution = _closed(p, q, last)
        elif q.shape[1] == 2:
            solution = certified.solve(p, q, last, tolerance, None)
        else:
            solution = annealing.refine(p, q, Mixture(p, q), last, tolerance)
        reached = information(p, q, encode(q, solution.mixture, last))[1]
    return np.geomspace(0.9 * onset, last, POINTS)


def _onset(p: Floats, q: Floats) -> float:
    """The beta up to which the trivial solution is optimal, by bisection of its certificate.

    It lies between 1, by data processing, and 1 / lambda_2, where it is locally unstable.
    """
    trivial = Mixture(np.ones(1), (p @ q)[None])
    low, high = 1.0, 1 / second_eigenvalue(p, q)
    while high - low > 1e-6 * low:
        beta = np.sqrt(low * high)
        if q.shape[1] == 2:
            excess = certified.excess(p, q, beta, trivial)
        else:
            excess = annealing.ascend(p, q, trivial, beta, 1e-10)[1].max()
        low, high = (low, beta) if excess > 1e-9 else (beta, high)
    return low


def _attributes(units: str, long_name: str) -> dict[str, str]:
    return {"units": units, "long_name": long_name}


def _labelled(
    p: Floats,
    q: Floats,
    labels: NDArray[np.bool_],
    betas: Floats,
    solutions: list[Solution],
    method: str,
) -> xr.Dataset:
    """The Dataset of `curve`."""
    mixtures = [_by_posterior(solution.mixture) for solution in solutions]
    pairs = zip(betas, mixtures, strict=True)
    points = np.array([information(p, q, encode(q, mixture, beta)) for beta, mixture in pairs])
    clusters = np.array([len(mixture.weights) for mixture in mixtures])
    weight = np.full((len(betas), clusters.max()), np.nan)
    posterior = np.full((*weight.shape, len(labels)), np.nan)
    for row, (mixture, count) in enumerate(zip(mixtures, clusters, strict=True)):
        weight[row, :count] = mixture.weights
        posterior[row, :count] = 0
        posterior[row, :count, labels] = mixture.posteriors.T
    whole = np.array(information(p, q, np.eye(len(p)))) / np.log(2)
    guarantee = "lower bound of the gap" if method == "annealed" else "certified gap"
    i_x, i_y = points.T
    along = ("beta",)
    bits = points.T / np.log(2)
    variables = {
        "information_input": (along, bits[0], _attributes("bit", "I(X;T)")),
        "information_label": (along, bits[1], _attributes("bit", "I(T;Y)")),
        "total_information": ((), whole[1], _attributes("bit", "I(X;Y)")),
        "sufficient_information": ((), whole[0], _attributes("bit", "H(T) of the sufficient T")),
        "lagrangian": (along, i_x - betas * i_y, _attributes("nat", "I(X;T) - beta I(T;Y)")),
        "gap": (
            along,
            np.array([solution.gap for solution in solutions]),
            _attributes("nat", f"{guarantee} of the Lagrangian from its optimum"),
        ),
        "clusters": (along, clusters, _attributes("1", "number of clusters")),
        "converged": (
            along,
            np.array([solution.converged for solution in solutions]),
            _attributes("1", "solved to the tolerance"),
        ),
        "weight": ((*along, "cluster"), weight, _attributes("1", "weight of the cluster")),
        "posterior": (
            (*along, "cluster", "label"),
            posterior,
            _attributes("1", "p(y|t) of the cluster"),
        ),
    }
    beta = ("beta", betas, _attributes("1", "trade-off beta"))
    return xr.Dataset(variables, coords={"beta": beta}, attrs={"method": method})


def _by_posterior(mixture: Mixture) -> Mixture:
    """Clusters ordered by their probability of the last label."""
    order = mixture.posteriors[:, -1].argsort()
    return Mixture(mixture.weights[order], mixture.posteriors[order])
