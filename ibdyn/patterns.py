"""A task is a finite world: patterns x, their probabilities p(x), and labels p(y|x).

Everything a network could learn is known: I(X;Y) and H(Y) are exact. In the linear-Gaussian task
the label is a real number, and the patterns are a sample of a population that is known exactly.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from theory.information import entropy, mutual_information

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LinearGaussian:
    """A real label y = teacher . x + noise of inputs x ~ N(0, covariance).

    teacher : (input,) weights.
    covariance : (input, input) of the population of inputs.
    variance : of the noise.

    Raises ValueError for shapes that do not fit, a covariance that is not symmetric, a variance
    that is not above 0, or numbers that are not finite.
    """

    teacher: Floats
    covariance: Floats
    variance: float

    def __post_init__(self) -> None:
        inputs = self.teacher.size
        if self.teacher.ndim != 1 or self.covariance.shape != (inputs, inputs):
            raise ValueError(
                f"teacher and covariance have shapes {self.teacher.shape} and "
                f"{self.covariance.shape}, expected (input,) and (input, input)"
            )
        for field in ("teacher", "covariance"):
            array = getattr(self, field)
            if not np.isfinite(array).all():
                raise ValueError(f"{field} holds values that are not finite")
            array.flags.writeable = False
        if (self.covariance != self.covariance.T).any():
            raise ValueError("covariance is not equal to its transpose")
        if not 0 < self.variance < np.inf:
            raise ValueError(f"variance is {self.variance}, expected finite and more than 0")

    @property
    def signal_variance(self) -> float:
        """Variance of teacher . x in the population."""
        return float(self.teacher @ self.covariance @ self.teacher)


@dataclass(frozen=True, eq=False)
class Task:
    """Patterns and the exact distribution of their labels.

    x : (pattern, input) inputs, as the network sees them.
    p_x : (pattern,) probabilities of the patterns.
    y : (pattern, label) probabilities of the labels p(y|x), or a `LinearGaussian` real label.
    power_spectrum : (pattern, degree) spherical power spectrum, for tasks on the sphere.
    spectral_class : (pattern,) integer name of the spectrum's value; whole classes can be held
        out of training.

    Raises ValueError, naming the array, for shapes that do not fit, values that are no
    probabilities, or inputs that are not finite.
    """

    name: str
    x: Floats
    p_x: Floats
    y: Floats | LinearGaussian
    power_spectrum: Floats | None = None
    spectral_class: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        tables = {"x": self.x}
        if not isinstance(self.y, LinearGaussian):
            tables["p_y_given_x"] = self.y
        for field, array in tables.items():
            if array.ndim != 2 or 0 in array.shape:
                raise ValueError(f"{field} has shape {array.shape}, expected two axes, not empty")
        if isinstance(self.y, LinearGaussian):
            source, patterns = "x", len(self.x)
            if self.x.shape[1] != self.y.teacher.size:
                raise ValueError(
                    f"x has {self.x.shape[1]} inputs, expected the {self.y.teacher.size} "
                    "of the teacher"
                )
        else:
            source, (patterns, labels) = "p_y_given_x", self.y.shape
            if labels < 2:
                raise ValueError(f"p_y_given_x has {labels} label, expected at least 2")
            _check_probabilities("p_y_given_x", self.y)
        for field in ("x", "p_x", "power_spectrum", "spectral_class"):
            array = getattr(self, field)
            if array is not None and len(array) != patterns:
                raise ValueError(
                    f"{field} has {len(array)} patterns, expected {patterns} as in {source}"
                )
        if not np.isfinite(self.x).all():
            raise ValueError("x holds values that are not finite")
        _check_probabilities("p_x", self.p_x)
        for array in vars(self).values():
            if isinstance(array, np.ndarray):
                array.flags.writeable = False

    @property
    def p_y_given_x(self) -> Floats:
        """(pattern, label) probabilities of the labels; ValueError where the label is real."""
        if isinstance(self.y, LinearGaussian):
            raise ValueError(f"task {self.name!r} has a real label, which has no probabilities")
        return self.y

    @property
    def gaussian(self) -> LinearGaussian | None:
        """The population of a real label; None where labels have probabilities."""
        return self.y if isinstance(self.y, LinearGaussian) else None

    @property
    def y_mean(self) -> Floats:
        """(pattern,) mean of a real label; ValueError where labels have probabilities."""
        if not isinstance(self.y, LinearGaussian):
            raise ValueError(f"task {self.name!r} has labels, which have no mean")
        return self.x @ self.y.teacher

    @property
    def information(self) -> float:
        """I(X;Y) in bits; of a real label, that of the population."""
        if isinstance(self.y, LinearGaussian):
            return float(np.log1p(self.y.signal_variance / self.y.variance) / np.log(4))
        return float(mutual_information(self.p_x[:, None] * self.y))

    @property
    def label_entropy(self) -> float:
        """H(Y) in bits; of a real label, the differential entropy in the population."""
        if isinstance(self.y, LinearGaussian):
            variance = self.y.signal_variance + self.y.variance
            return float(np.log(2 * np.pi * np.e * variance) / np.log(4))
        return float(entropy(self.p_x @ self.y))


def _check_probabilities(name: str, p: Floats) -> None:
    outside = ~((p >= 0) & (p <= 1))
    if outside.any():
        where = tuple(int(i) for i in np.argwhere(outside)[0])
        raise ValueError(f"{name} at {where} is {p[where]}, expected a probability")
    total = np.atleast_1d(p.sum(-1))
    off = np.abs(total - 1) > 1e-9
    if off.any():
        row = f" in row {off.argmax()}" if p.ndim > 1 else ""
        raise ValueError(f"{name} sums to {total[off.argmax()]:.12g}{row}, expected 1")
