"""Monte Carlo over a known mixture: the information that a layer has left under Gaussian noise.

What this measures is I(X;T+Z) and I(T+Z;Y) with Z ~ N(0, variance I). T+Z is a Gaussian mixture
whose centres are all known, so there is an unbiased estimate where `pairwise` has bounds, at many
times the cost (Goldfeld et al. 2019, with the exact X in the place of a sample). Either Z belongs
to the measurement alone and the centres are the activations of a deterministic network, or the
network adds such a Z to every hidden layer, in training too, and the centres come from many noisy
passes of each pattern.

Everything is written in the ratios r_ij = phi(t - mu_j) / phi(t - mu_i) of a draw t = mu_i + z of
component i, phi being the density of Z.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlogy

from .pairwise import checked
from .protocol import UNSIGNED, Estimates, Floats, Limits, Meaning, World, number

if TYPE_CHECKING:
    from .pairs import Components


@dataclass(frozen=True)
class Mixture:
    """Monte Carlo of a layer under Gaussian noise, with its standard error.

    measured: noise of ``variance`` is added in the measurement, ``count`` draws a pattern.
    propagated: the noise is the network's own; each pattern runs through it ``count`` times.
        Not defined at the output, which has no noise: NaN there.

    ``variance`` is in units of the activations squared. ValueError for another kind of noise, no
    draw or fewer than 2 paths, or a variance where it does not belong or is not above 0.
    """

    noise: str
    count: int
    variance: float = 0.0

    over_run: ClassVar[bool] = False
    family: ClassVar[str] = "mixture"
    forms: ClassVar[tuple[str, ...]] = (
        "mixture-measured-VARIANCE:DRAWS",
        "mixture-propagated-PATHS",
    )

    def __post_init__(self) -> None:
        if self.noise not in ("measured", "propagated"):
            raise ValueError(
                f"mixture noise {self.noise!r} is unknown, expected measured or propagated"
            )
        least = 1 if self.noise == "measured" else 2
        if self.count < least:
            raise ValueError(
                f"mixture {self.noise} has count {self.count}, expected at least {least}"
            )
        if self.noise == "measured" and not 0 < self.variance < np.inf:
            raise ValueError(f"mixture variance is {self.variance}, expected more than 0")
        if self.noise == "propagated" and self.variance:
            raise ValueError("mixture propagated takes its variance from the network's noise")

    @property
    def name(self) -> str:
        """The estimator's name, with all its parameters."""
        if self.noise == "propagated":
            return f"mixture-propagated-{self.count}"
        return f"mixture-measured-{number(self.variance)}:{self.count}"

    @classmethod
    def from_name(cls, name: str) -> "Mixture":
        """Read a name back; ValueError with the forms there are if it is none."""
        if found := re.fullmatch(rf"mixture-measured-({UNSIGNED}):(\d+)", name):
            return cls("measured", int(found[2]), float(found[1]))
        if found := re.fullmatch(r"mixture-propagated-(\d+)", name):
            return cls("propagated", int(found[1]))
        raise ValueError(f"estimator {name!r} is none of {', '.join(cls.forms)}")

    @property
    def meaning(self) -> Meaning:
        """What the number means."""
        if self.noise == "propagated":
            return Meaning(
                "I_noisy",
                f"information of the noisy T, Monte Carlo over {self.count} passes a pattern",
                "the network's own, Gaussian, after each hidden non-linearity",
                "standard deviation of the network's noise, each unit",
            )
        return Meaning(
            "I_mixture",
            f"information of T + Z, Monte Carlo with {self.count} draws a pattern",
            f"Z Gaussian of variance {number(self.variance)}, in the measurement only",
            f"standard deviation {np.sqrt(self.variance):.3g} of Z, each unit",
        )

    def information(self, activations: NDArray, limits: Limits, world: World) -> Estimates:
        """I(X;T+Z) and I(T+Z;Y) with their Monte-Carlo standard errors: see `Estimator`."""
        if self.noise == "measured":
            found = information(
                activations,
                world.p_x,
                world.p_y_given_x,
                self.variance,
                world.generators(),
                draws=self.count,
            )
        elif world.noise_variance > 0:
            found = propagated(
                world.paths(self.count),
                world.p_x,
                world.p_y_given_x,
                world.noise_variance,
                world.generators(),
            )
        else:
            found = Information(*np.full((4, len(activations)), np.nan))
        return {
            "information_input": found.input,
            "information_input_stderr": found.input_error,
            "information_label": found.label,
            "information_label_stderr": found.label_error,
        }


class Information(NamedTuple):
    """I(X;T+Z), I(T+Z;Y) and their Monte-Carlo standard errors, in bits, each (member,)."""

    input: Floats
    input_error: Floats
    label: Floats
    label_error: Floats


def information(
    activations: NDArray,
    p_x: ArrayLike,
    p_y_given_x: ArrayLike,
    variance: float,
    rng: np.random.Generator | Sequence[np.random.Generator],
    *,
    draws: int = 1,
) -> Information:
    """I(X;T+Z) and I(T+Z;Y) in bits, Z ~ N(0, ``variance`` I), of every member, by Monte Carlo.

    ``activations`` is (member, pattern, unit), in units of which ``variance`` is the square;
    ``p_x`` (pattern,) and ``p_y_given_x`` (pattern, label) are the exact distributions. Every
    pattern of positive probability gets ``draws`` noises from ``rng``: one generator for each
    member, or a single one from which the members draw in turn. With draws t of pattern i, and
    w_yj = p(x_j) p(y|x_j),

        I(X;T+Z) = sum_i p_i mean[-ln sum_yj w_yj r_ij],
        I(T+Z;Y) = sum_i p_i mean[sum_y p(y|x_i) (ln p(y|t) - ln p(y))],
        p(y|t) = sum_j w_yj r_ij / sum_yj w_yj r_ij.

    The patterns are strata, so that only the spread of a pattern's own draws is error: a standard
    error is that of sum_i p_i mean_i from the variances within patterns, which takes 2 draws. With
    one draw, a pattern's deviation from the mean of the others stands in for its spread, which on
    average overstates the error: by the differences between the patterns' own means.

    A member whose activations are not finite is NaN, and draws like the others. ValueError as
    for `pairwise.bounds`, and if there is no draw or not a generator for each member.
    """
    from .pairs import components

    activations = np.asarray(activations)
    p_x, p_y_given_x = checked(activations, p_x, p_y_given_x, variance)
    counted = p_x > 0
    activations, p_x, p_y_given_x = activations[:, counted], p_x[counted], p_y_given_x[counted]
    if draws < 1:
        raise ValueError(f"draws is {draws}, expected at least 1")
    known = components(p_x, p_y_given_x)
    p_y = p_x @ p_y_given_x
    out = np.full((len(activations), 2, 2), np.nan)
    for k, stream in enumerate(_streams(rng, len(activations))):
        t = activations[k]
        found = np.empty((draws, 2, len(p_x)))
        for draw in range(draws):
            z = stream.normal(0, np.sqrt(variance), t.shape)
            if np.isfinite(t).all():
                found[draw] = _terms(t, z, known, p_y_given_x, p_y, variance)
        if np.isfinite(t).all():
            out[k] = _stratified(found, p_x)
    return _in_bits(out)


def propagated(
    centres: NDArray,
    p_x: ArrayLike,
    p_y_given_x: ArrayLike,
    variance: float,
    rng: np.random.Generator | Sequence[np.random.Generator],
) -> Information:
    """I(X;T) and I(T;Y) in bits of a layer that adds Z ~ N(0, ``variance`` I) to noisy centres.

    ``centres`` (member, path, pattern, unit) are what the layer makes, before its own noise, of
    ``path`` noisy passes of each pattern; the other arguments are those of `information`. The
    density of T given a pattern is the mixture over its paths, and every component is drawn once:
    with g_i the mean of r over the paths of draw i's own pattern,

        I(X;T) = sum_i p_i mean[ln g_i - ln sum_yj w_yj r_ij].

    The draws come from the mixtures that they are judged by, so h(T|X) is underestimated, and
    I(X;T) overestimated, by about (1/2n) (integral E[phi(t-mu)^2] / p(t|x) dt - 1) nats for n
    paths (half a chi-squared divergence over n, once that is small): it vanishes as 1/n, and for
    the first hidden layer, whose centres have no noise, it is 0. In deep layers, where the noise
    of those before has grown, 8 paths may leave some tenths of a bit. The standard error takes a
    pattern's paths as draws.

    ValueError as for `information`, and for fewer than 2 paths.
    """
    from .pairs import components

    centres = np.asarray(centres)
    if centres.ndim != 4 or centres.shape[1] < 2:
        raise ValueError(
            f"centres have shape {centres.shape}, expected (member, path, pattern, unit) "
            "with at least 2 paths"
        )
    p_x, p_y_given_x = checked(centres[:, 0], p_x, p_y_given_x, variance)
    counted = p_x > 0
    centres, p_x, p_y_given_x = centres[:, :, counted], p_x[counted], p_y_given_x[counted]
    paths, patterns = centres.shape[1:3]
    every = np.tile(p_y_given_x, (paths, 1))
    known = components(np.tile(p_x / paths, paths), every)
    p_y = p_x @ p_y_given_x
    out = np.full((len(centres), 2, 2), np.nan)
    for k, stream in enumerate(_streams(rng, len(centres))):
        own = centres[k].astype(float)
        z = stream.normal(0, np.sqrt(variance), own.shape)
        if not np.isfinite(own).all():
            continue
        flat = own.reshape(paths * patterns, -1)
        found = _terms(flat, z.reshape(flat.shape), known, every, p_y, variance)
        found = found.reshape(2, paths, patterns).transpose(1, 0, 2)
        found[:, 0] += _own_pattern(own, z, variance)
        out[k] = _stratified(found, p_x)
    return _in_bits(out)


def _own_pattern(centres: Floats, z: Floats, variance: float) -> Floats:
    """Ln of the mean ratio over the paths of a draw's own pattern: (path, pattern)."""
    ratios = np.zeros(centres.shape[:2])
    for other in centres:
        apart = centres - other
        ratios += np.exp(-(apart * (apart + 2 * z)).sum(-1) / (2 * variance))
    return np.asarray(np.log(ratios / len(centres)))


def _terms(
    t: NDArray,
    z: NDArray,
    known: "Components",
    p_y_given_x: Floats,
    p_y: Floats,
    variance: float,
) -> Floats:
    """-ln sum_yj w_yj r_ij and sum_y p(y|x_i) ln p(y|t)/p(y) at each component's draw: (2, i)."""
    from .ratios import at_draws

    order = known.order
    by_label = at_draws(t, z, known, variance)
    total = by_label.sum(0)
    posterior = by_label / total / np.where(p_y > 0, p_y, 1)[:, None]
    found = np.empty((2, len(t)))
    found[0, order] = -np.log(total)
    found[1, order] = xlogy(p_y_given_x[order], posterior.T).sum(-1)
    return found


def _stratified(found: Floats, p: Floats) -> Floats:
    """Estimates and standard errors, (2, 2), of terms ``found`` (draw, 2, pattern), in nats."""
    draws = len(found)
    mean = found.mean(0)
    estimate = mean @ p
    if draws == 1:
        variance = ((mean - estimate[:, None]) / np.where(p < 1, 1 - p, 1)) ** 2
    else:
        variance = found.var(0, ddof=1)
    return np.stack([estimate, np.sqrt(variance @ p**2 / draws)])


def _streams(
    rng: np.random.Generator | Sequence[np.random.Generator], members: int
) -> list[np.random.Generator]:
    streams = [rng] * members if isinstance(rng, np.random.Generator) else list(rng)
    if len(streams) != members:
        raise ValueError(f"{len(streams)} generators for {members} members, expected one for each")
    return streams


def _in_bits(out: Floats) -> Information:
    (i_x, i_y), (error_x, error_y) = out.transpose(1, 2, 0) / np.log(2)
    return Information(i_x, error_x, i_y, error_y)
