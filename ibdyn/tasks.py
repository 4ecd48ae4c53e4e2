"""The tasks there are: rules on the sphere and on bits, a linear teacher, digits, files."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import scipy.io
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import expit

from . import icosahedron, real_data
from .config import TaskConfig
from .patterns import Floats, LinearGaussian, Task
from .seeding import stream

# The published labels, in the exact integer form of the threshold on the spectrum: weights of
# (k, n_1, n_2, n_3) and the smallest value of a pattern with y = 1 rounded down by one.
HARD_WEIGHTS = (42, 1, -9, -14)
HARD_THRESHOLD = 176
# Weights of (E_A, E_T1, E_H, E_T2) of the soft rule: 64 distinct values, the same hard labels.
SOFT_WEIGHTS = (1, 4.06, 2.66, 2.58)


def from_arrays(
    x: ArrayLike, y: ArrayLike, p_x: ArrayLike | None = None, *, name: str = "arrays"
) -> Task:
    """Task of patterns ``x`` (pattern, input) and labels ``y``.

    ``y`` is either integer labels 0..K-1 of shape (pattern,) or probabilities of shape
    (pattern, label). Patterns are equally likely unless ``p_x`` (pattern,) is given.

    Raises ValueError for labels that are neither, and as `Task` does.

    >>> from_arrays([[0], [1]], [0, 1]).information
    1.0
    """
    labels = np.array(y)
    if labels.ndim == 1:
        if labels.size == 0 or labels.dtype.kind not in "iub" or (labels < 0).any():
            raise ValueError(f"labels y have values {np.unique(labels)}, expected integers 0..K-1")
        labels = np.eye(max(2, int(labels.max()) + 1))[labels.astype(int)]
    p = np.full(len(labels), 1 / len(labels)) if p_x is None else np.array(p_x, dtype=float)
    return Task(name, np.array(x, dtype=float), p, labels.astype(float))


def from_config(config: TaskConfig, seed: int) -> Task:
    """The task that a configuration names; ``seed`` is the root of what is drawn for it.

    Raises ValueError, or OSError for a file, where there is no such task.
    """
    if config.name == "spherical_rule":
        task = spherical_rule(config.information)
    elif config.name == "linear_teacher":
        inputs, samples, snr = config.inputs or 100, config.samples or 1000, config.snr or 1.0
        task = linear_teacher(inputs, samples, snr, seed)
    elif config.name == "digits":
        task = digits()
    elif config.name != "file":
        task = bits(config.name, config.bits or 12)
    elif config.label_path is not None:
        task = from_files(str(config.path), config.label_path)
    elif str(config.path).endswith(".mat"):
        task = from_mat(str(config.path))
    elif str(config.path).endswith(".npz"):
        task = from_npz(str(config.path))
    else:
        raise ValueError(
            f"task.path: {config.path} is no .mat or .npz file, and there is no task.label_path"
        )
    if config.samples is not None and config.name != "linear_teacher":
        task = first_patterns(task, config.samples)
    return random_labels(task, seed) if config.random_labels else task


def hypercube(n: int) -> Floats:
    """All 2^n patterns of n bits in the order of integers, the first bit the most significant."""
    return (np.arange(2**n)[:, None] >> np.arange(n)[::-1] & 1).astype(float)


def spherical_rule(information: float | None = None) -> Task:
    """The rotation-invariant rule on twelve points of the sphere (Shwartz-Ziv & Tishby 2017).

    X is the 4096 patterns of occupied vertices of an icosahedron, equally likely. Without
    argument the labels are the published ones to the last bit, a threshold on the power spectrum,
    42 k + n_1 - 9 n_2 - 14 n_3 >= 176 in the counts of `icosahedron`; the paper never gave its
    own rule, so the rule is ours and the labels are theirs. With ``information`` the labels are
    soft: p(y=1|x) = logistic(gain (f - threshold)), where f is a weighted sum of the spectrum
    that orders the patterns as the hard labels do, the threshold lies midway in its gap, and the
    gain is solved for I(X;Y) = ``information`` bits.

    Raises ValueError unless 0 < ``information`` < H(Y) of the hard labels, 0.99916 bits.
    """
    x = hypercube(12)
    counts = icosahedron.counts(x.astype(int))
    _, spectral_class = np.unique(counts, axis=0, return_inverse=True)
    hard = (counts @ HARD_WEIGHTS >= HARD_THRESHOLD).astype(int)
    task = replace(
        from_arrays(x, hard, name="spherical_rule"),
        power_spectrum=icosahedron.power_spectrum(counts),
        spectral_class=spectral_class,
    )
    if information is None:
        return task
    if not 0 < information < task.information:
        raise ValueError(
            f"information is {information}, expected bits between 0 and {task.information:.6f}, "
            "the entropy of the hard labels"
        )
    f = icosahedron.irreducible_energies(counts) @ SOFT_WEIGHTS
    margin = f - (f[hard == 0].max() + f[hard == 1].min()) / 2

    def soft(log_gain: float) -> Task:
        z = np.exp(log_gain) * margin
        # Both tails from the logistic itself: 1 - p would merge rows that differ.
        return replace(task, y=np.stack([expit(-z), expit(z)], axis=-1))

    log_gain = brentq(lambda g: soft(g).information - information, -30, 30, xtol=1e-14)
    return soft(log_gain)


def bits(rule: str, n: int) -> Task:
    """A rule on all 2^n patterns of n bits.

    parity: the sum of the bits modulo 2. majority: at least n/2 of the bits are 1. committee: the
    bits fall into three equal blocks, each votes by its majority, and two votes carry (a tree
    committee machine; n must be a multiple of 3).

    Raises ValueError for another rule, or an n that is not 1 to 20 or does not suit it.
    """
    if not 1 <= n <= 20:
        raise ValueError(f"bits has n = {n}, expected 1 to 20 (it enumerates 2^n patterns)")
    x = hypercube(n)
    if rule == "parity":
        y = x.sum(-1) % 2
    elif rule == "majority":
        y = 2 * x.sum(-1) >= n
    elif rule == "committee":
        if n % 3:
            raise ValueError(f"committee has n = {n}, expected a multiple of 3")
        votes = 2 * x.reshape(len(x), 3, -1).sum(-1) >= n // 3
        y = votes.sum(-1) >= 2
    else:
        raise ValueError(f"rule {rule!r} is unknown, expected parity, majority or committee")
    return from_arrays(x, y.astype(int), name=rule)


def linear_teacher(inputs: int, samples: int, snr: float, seed: int) -> Task:
    """A linear teacher of Gaussian inputs, y = w . x + N(0, 1) (Saxe et al. 2018, section 3).

    The patterns are ``samples`` draws of x ~ N(0, I / ``inputs``), equally likely; w has a random
    direction and the length that makes the variance of w . x in the population ``snr`` times that
    of the noise, so I(X;Y) = 1/2 log2(1 + snr). Both come from the stream "task" of ``seed``.

    Raises ValueError unless there are inputs and samples, and ``snr`` is finite and above 0.
    """
    if inputs < 1 or samples < 1:
        raise ValueError(f"inputs and samples are {inputs} and {samples}, expected 1 or more")
    if not 0 < snr < np.inf:
        raise ValueError(f"snr is {snr}, expected finite and more than 0")
    rng = stream(seed, "task")
    x = rng.standard_normal((samples, inputs)) / np.sqrt(inputs)
    direction = rng.standard_normal(inputs)
    teacher = direction * np.sqrt(snr * inputs / (direction @ direction))
    label = LinearGaussian(teacher, np.eye(inputs) / inputs, 1.0)
    return Task("linear_teacher", x, np.full(samples, 1 / samples), label)


def random_labels(task: Task, seed: int) -> Task:
    """The same patterns with the rows of p(y|x) shuffled: a control with nothing to generalise.

    With equally likely patterns I(X;Y) and H(Y) stay what they were. ValueError for a real label.
    """
    order = stream(seed, "task").permutation(len(task.x))
    return replace(task, name=f"{task.name}-random", y=task.p_y_given_x[order])


def from_mat(path: str | Path) -> Task:
    """Task of a MATLAB file in the published layout: ``F`` (pattern, input), ``y`` (1, pattern).

    Raises FileNotFoundError, and ValueError where an array is missing or does not fit.
    """
    content = scipy.io.loadmat(_existing(path))
    missing = {"F", "y"} - content.keys()
    if missing:
        found = sorted(k for k in content if not k.startswith("__"))
        raise ValueError(f"{path} lacks {sorted(missing)}, found {found}, expected F and y")
    return from_arrays(content["F"], content["y"].ravel().astype(int), name=Path(path).stem)


def from_npz(path: str | Path) -> Task:
    """Task of a NumPy file: ``x`` (pattern, input), ``y`` as in `from_arrays`, maybe ``p_x``.

    Raises FileNotFoundError, and ValueError where an array is missing or does not fit.
    """
    with np.load(_existing(path), allow_pickle=False) as content:
        missing = {"x", "y"} - set(content.files)
        if missing:
            raise ValueError(
                f"{path} lacks {sorted(missing)}, found {content.files}, expected x and y"
            )
        p_x = content["p_x"] if "p_x" in content.files else None
        return from_arrays(content["x"], content["y"], p_x, name=Path(path).stem)


def from_files(inputs: str | Path, labels: str | Path) -> Task:
    """Task of two files, each IDX (as MNIST's, .gz too) or ``.npy``: images and their labels.

    Images are (pattern, ...), and bytes become numbers from 0 to 1; labels as in `from_arrays`.
    Raises FileNotFoundError, and ValueError for files that are neither or do not fit each other.
    """
    x, y = real_data.read_array(inputs), real_data.read_array(labels)
    if x.ndim < 2 or not x.size:
        raise ValueError(f"{inputs} has shape {x.shape}, expected (pattern, ...), not empty")
    if len(x) != len(y):
        raise ValueError(f"{inputs} has {len(x)} patterns, {labels} {len(y)}, expected as many")
    return from_arrays(real_data.as_inputs(x), y, name=Path(inputs).name.partition(".")[0])


def digits() -> Task:
    """scikit-learn's 1797 handwritten digits, 8 x 8 pixels from 0 to 1, in ten classes.

    ImportError where scikit-learn is not installed (``pip install 'ibdyn[digits]'``).
    """
    return from_arrays(*real_data.digits(), name="digits")


def first_patterns(task: Task, count: int) -> Task:
    """The first ``count`` patterns of a task, with their probabilities anew in proportion.

    ValueError if it has fewer.
    """
    if count > len(task.x):
        raise ValueError(f"samples is {count}, the task {task.name!r} has {len(task.x)} patterns")
    p_x, y = task.p_x[:count], task.p_y_given_x[:count]
    return Task(task.name, task.x[:count].copy(), p_x / p_x.sum(), y.copy())


def _existing(path: str | Path) -> Path:
    if not Path(path).is_file():
        raise FileNotFoundError(f"task file {path} does not exist")
    return Path(path)
