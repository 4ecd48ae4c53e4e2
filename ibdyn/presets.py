"""The published experiments as configurations, each setting with where it comes from.

Sources, by short name: *paper*, Shwartz-Ziv & Tishby 2017, arXiv 1703.00810; *publication*, the
code as it was when the paper appeared, and the settings stored with its result files;
*released*, the code at its later default settings; *saxe*, Saxe et al. 2018, ICLR, and the code
released with it; *goldfeld*, Goldfeld et al. 2019, ICML, with its archived settings; *lorenzen*,
Lorenzen, Igel & Nielsen 2022, ICLR; *ours*, a choice where the source is silent.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .config import InitConfig, RunConfig, ScheduleConfig, TaskConfig


@dataclass(frozen=True)
class Preset:
    """A configuration, a sentence about it, and the source of each of its settings."""

    about: str
    config: RunConfig
    sources: Mapping[str, str]


_SNAPSHOTS = (0, 400, 1002, 3001, 9000, 9998)
_SCHEDULE = ScheduleConfig(count=300, extra=_SNAPSHOTS)
_TRUNCATED = "publication: truncated normal at 2 sigma, sigma = 1/sqrt(fan_in), biases 0"

_SZT_SOURCES = {
    "task": "paper, section 3.1: 12 points of the sphere, 4096 patterns, hard published labels",
    "activation": "paper, section 3.1: tanh",
    "noise": "paper: none",
    "quantisation": "paper: none",
    "output": "publication: softmax of 2 with cross-entropy (the paper's text: a sigmoid unit)",
    "init": _TRUNCATED,
    "momentum": "publication: none",
    "temperature": "publication: none",
    "weight_decay": "publication: none",
    "epochs": "paper, figure 2: about 10^4",
    "labels": "ours: hard labels, nothing is drawn",
    "seed": "ours",
    "schedule": "ours: 300 log-spaced epochs, with the paper's snapshots and the tabulated ones",
    "dtype": "publication: float32",
    "engine": "ours",
    "device": "ours",
}

_SAXE = RunConfig(
    widths=(10, 7, 5, 4, 3),
    activation="tanh",
    init=InitConfig(distribution="truncated_normal", scale="fan_out"),
    optimizer="adam",
    learning_rate=4e-4,
    batch_size=256,
    epochs=10_000,
    members=50,
    train_fraction=0.8,
    schedule=_SCHEDULE,
    estimators=("binned-width-0.07",),
)

_SAXE_SOURCES = {
    "task": "saxe: the task of Shwartz-Ziv & Tishby",
    "widths": "saxe: 10-7-5-4-3",
    "noise": "saxe: none",
    "quantisation": "saxe: none",
    "output": "saxe: softmax of 2 with cross-entropy",
    "init": "saxe: truncated normal at 2 sigma, sigma = 1/sqrt(fan_out), biases 0",
    "optimizer": "saxe: Adam",
    "learning_rate": "saxe: 4e-4",
    "momentum": "saxe: none",
    "temperature": "saxe: none",
    "weight_decay": "saxe: none",
    "batch_size": "saxe: 256",
    "batch_order": "saxe: reshuffled by the training library",
    "epochs": "saxe: 10 000",
    "members": "saxe: 50 repetitions",
    "train_fraction": "saxe: 80 %",
    "split": "ours: stratified; the released data come with a split of their own",
    "labels": "ours: hard labels, nothing is drawn",
    "seed": "ours",
    "schedule": "ours: 300 log-spaced epochs, with those of the other presets",
    "dtype": "saxe: float32",
    "engine": "ours",
    "device": "ours",
}

_GOLDFELD_SOURCES = {
    "task": "goldfeld: the task of Shwartz-Ziv & Tishby",
    "widths": "goldfeld: 12-10-7-5-4-3-2",
    "activation": "goldfeld: tanh",
    "noise": "goldfeld: 0.005, as archived (the code's default is 0.1), after each non-linearity",
    "quantisation": "goldfeld: none",
    "output": "ours: softmax of 2 with cross-entropy, as for the other presets",
    "init": "ours: that of Shwartz-Ziv & Tishby",
    "optimizer": "goldfeld: Adam",
    "learning_rate": "goldfeld: 4e-4",
    "momentum": "ours: none",
    "temperature": "ours: none",
    "weight_decay": "ours: none, the case without regularisation",
    "batch_size": "goldfeld: 256",
    "batch_order": "ours",
    "epochs": "goldfeld: 10 000",
    "members": "ours: Monte Carlo is the cost of this run, and proportional to them",
    "train_fraction": "ours: that of the paper",
    "split": "ours: stratified",
    "labels": "ours: hard labels, nothing is drawn",
    "seed": "ours",
    "schedule": "ours: a third of the epochs of the other presets, for the cost of Monte Carlo",
    "estimators": "goldfeld: Monte Carlo over the mixture; ours: 8 passes a pattern, which take "
    "4 seconds of a core for each member and epoch, growing as the square of the passes, and give "
    "the last hidden layer 0.1 to 0.3 bit more than 32; cells of one noisy pass for comparison",
    "dtype": "ours",
    "engine": "ours",
    "device": "ours",
}

_LORENZEN_SOURCES = {
    "task": "lorenzen: the task of Shwartz-Ziv & Tishby",
    "widths": "ours: those of the paper, 12-10-7-5-4-3-2",
    "activation": "lorenzen: tanh, the first of its two",
    "noise": "lorenzen: none",
    "quantisation": "lorenzen: 8 of its 4, 8 and 32 bits, straight-through gradients, ranges of "
    "the batch; its code leaves the weights of tanh networks unquantised, to quantise them is ours",
    "output": "ours: softmax of 2 with cross-entropy, as for the other presets",
    "init": "ours: that of Shwartz-Ziv & Tishby",
    "optimizer": "lorenzen: Adam",
    "learning_rate": "lorenzen: 1e-4",
    "momentum": "ours: none",
    "temperature": "ours: none",
    "weight_decay": "ours: none",
    "batch_size": "lorenzen: 256",
    "batch_order": "ours",
    "epochs": "lorenzen: 8000",
    "members": "lorenzen: 50 repeats",
    "train_fraction": "ours: that of Saxe et al.",
    "split": "ours: stratified",
    "labels": "ours: hard labels, nothing is drawn",
    "seed": "ours",
    "schedule": "ours: 300 log-spaced epochs, with those of the other presets",
    "estimators": "lorenzen: exact information of the quantised states; 30 bins for comparison",
    "dtype": "ours",
    "engine": "ours",
    "device": "ours",
}

PRESETS: Mapping[str, Preset] = {
    "szt2017-paper": Preset(
        "The paper's text: stochastic gradient descent, 50 networks, the post's figures.",
        RunConfig(
            widths=(10, 7, 5, 4, 3),
            optimizer="sgd",
            learning_rate=0.05,
            batch_size=256,
            batch_order="shuffled",
            epochs=10_000,
            members=50,
            train_fraction=0.85,
            split="stratified",
            schedule=_SCHEDULE,
            estimators=("binned-range-30",),
        ),
        {
            **_SZT_SOURCES,
            "widths": "paper, section 3.1: 12-10-7-5-4-3-2",
            "optimizer": "paper, section 3: SGD (the code that made the figures used Adam)",
            "learning_rate": "ours: the paper gives no rate",
            "batch_size": "ours: the paper gives no batch size",
            "batch_order": "ours",
            "members": "paper, figure 2: 50 randomised networks",
            "train_fraction": "paper, figure 3: 85 %, the largest of its three",
            "split": "paper: random; stratified by label is ours",
            "estimators": "paper, section 3.2: 30 equal bins between -1 and 1",
        },
    ),
    "szt2017-stored": Preset(
        "The settings stored with result A6: full-batch Adam, no minibatch noise at all.",
        RunConfig(
            widths=(10, 7, 5, 4, 4, 3),
            optimizer="adam",
            learning_rate=2e-4,
            batch_size=None,
            batch_order="fixed",
            epochs=10_000,
            members=20,
            train_fraction=4095 / 4096,
            split="first",
            schedule=_SCHEDULE,
            estimators=("binned-published-50",),
        ),
        {
            **_SZT_SOURCES,
            "widths": "publication, A6: 12-10-7-5-4-4-3-2",
            "optimizer": "publication, A6: Adam",
            "learning_rate": "publication, A6: 2e-4",
            "batch_size": "publication, A6: one full batch an epoch",
            "batch_order": "publication: fixed",
            "epochs": "publication, A6: 10 000",
            "members": "publication, A6: 20 seeds",
            "train_fraction": "publication, A6: the first 4095 of 4096 patterns",
            "split": "publication: the first rows, not shuffled",
            "estimators": "publication: 50 edges between -1 and 1",
        },
    ),
    "szt2017-released": Preset(
        "The released code's defaults, its unshuffled split included: its test set is shifted.",
        RunConfig(
            widths=(10, 7, 5, 4, 3),
            optimizer="adam",
            learning_rate=4e-4,
            batch_size=512,
            batch_order="fixed",
            epochs=8000,
            members=1,
            train_fraction=0.8,
            split="first",
            schedule=_SCHEDULE,
            estimators=("binned-published-30",),
        ),
        {
            **_SZT_SOURCES,
            "widths": "released: the deepest of its networks",
            "optimizer": "released: Adam",
            "learning_rate": "released: 4e-4",
            "batch_size": "released: 512 (256 before November 2017)",
            "batch_order": "released: fixed",
            "epochs": "released: 8000",
            "members": "released: 1",
            "train_fraction": "released: 80 %",
            "split": "released: the first rows, not shuffled",
            "estimators": "released: 30 edges between -1 and 1",
        },
    ),
    "saxe2018-tanh": Preset(
        "Saxe et al.'s repetition with tanh: layers compress under binning.",
        _SAXE,
        {
            **_SAXE_SOURCES,
            "activation": "saxe: tanh",
            "estimators": "saxe: bins of width 0.07",
        },
    ),
    "saxe2018-relu": Preset(
        "The same with ReLU: hidden layers do not compress.",
        _SAXE.model_copy(
            update={
                "activation": "relu",
                "estimators": ("binned-width-0.07", "binned-run-100"),
            }
        ),
        {
            **_SAXE_SOURCES,
            "activation": "saxe: ReLU",
            "estimators": "saxe: width 0.07 in the code; 100 bins between the extremes over "
            "the whole run in the paper",
        },
    ),
    "saxe2018-linear": Preset(
        "A linear student of a noisy linear teacher, exactly solvable: it overfits and does not "
        "compress.",
        RunConfig(
            task=TaskConfig(name="linear_teacher", inputs=100, samples=1000, snr=1.0),
            widths=(100,),
            activation="linear",
            output="linear",
            init=InitConfig(distribution="normal", scale="fan_in"),
            optimizer="sgd",
            learning_rate=0.05,
            batch_size=None,
            batch_order="fixed",
            epochs=3000,
            members=10,
            train_fraction=0.1,
            split="random",
            estimators=("gaussian-1",),
        ),
        {
            "task": "saxe: inputs N(0, 1/100), a linear teacher, signal-to-noise ratio 1; the 900 "
            "samples beyond the training set are ours, to test on",
            "widths": "saxe: 100 inputs, 100 hidden units, one output",
            "activation": "saxe: linear",
            "noise": "saxe: none",
            "quantisation": "saxe: none",
            "output": "saxe: linear, squared error (here with the noise's variance, so in nats)",
            "init": "ours: normal, sigma = 1/sqrt(fan_in), biases 0; saxe gives none",
            "optimizer": "saxe: gradient descent",
            "learning_rate": "ours: stable to the end; at 0.1 the grown weights make the loss jump",
            "momentum": "saxe: none",
            "temperature": "saxe: none",
            "weight_decay": "saxe: none",
            "batch_size": "saxe: the full batch",
            "batch_order": "ours: a full batch has no order",
            "epochs": "ours: the training noise is fitted, the test loss far above its least",
            "members": "ours",
            "train_fraction": "saxe: 100 training samples",
            "split": "ours: random",
            "labels": "saxe: the teacher's noise is drawn once",
            "seed": "ours",
            "schedule": "ours: 300 log-spaced epochs",
            "estimators": "saxe: exact, noise variance 1",
            "dtype": "ours: float32",
            "engine": "ours",
            "device": "ours",
        },
    ),
    "goldfeld2019": Preset(
        "Networks that carry their own noise: the information of T is finite and has a meaning.",
        RunConfig(
            widths=(10, 7, 5, 4, 3),
            activation="tanh",
            noise=0.005,
            optimizer="adam",
            learning_rate=4e-4,
            batch_size=256,
            epochs=10_000,
            members=10,
            train_fraction=0.85,
            schedule=ScheduleConfig(count=100, extra=_SNAPSHOTS),
            estimators=("mixture-propagated-8", "binned-range-30"),
        ),
        _GOLDFELD_SOURCES,
    ),
    "lorenzen2022": Preset(
        "Quantised networks: the exact information of states that decide the next ones.",
        RunConfig(
            widths=(10, 7, 5, 4, 3),
            activation="tanh",
            quantisation=8,
            optimizer="adam",
            learning_rate=1e-4,
            batch_size=256,
            epochs=8000,
            members=50,
            train_fraction=0.8,
            schedule=_SCHEDULE,
            estimators=("exact", "binned-range-30"),
        ),
        _LORENZEN_SOURCES,
    ),
}


def preset(name: str, **changes: Any) -> RunConfig:
    """The configuration of a preset, with ``changes`` of its fields.

    Raises ValueError, with the names there are, if there is none of this name, and for changes
    that make no configuration.

    >>> preset("szt2017-stored", members=3).batch_size is None
    True
    """
    if name not in PRESETS:
        raise ValueError(f"preset {name!r} is unknown, expected one of {', '.join(PRESETS)}")
    config = PRESETS[name].config
    return RunConfig.model_validate(config.model_dump() | changes) if changes else config
