"""A record as the page of `ibdyn.report` draws it: plain values, numbers packed, nothing measured.

Arrays are little-endian, in base64; their shapes are those of the lists beside them, in the order
estimator, member, step, layer. Means and intervals are float32, flags bits, and points of members
16-bit fractions of the range of their estimator and layer.
"""

import base64
import json
from collections.abc import Iterator

import numpy as np
import xarray as xr
from matplotlib.colors import to_hex
from numpy.typing import NDArray

from theory import phases
from theory.fitting import mean_interval

from .estimators import Gaussian
from .marks import axis_label, geometric_interval, layer_colours, layer_label, layer_markers

# What the page needs of a record; all else can be forgotten.
NEEDED = (
    "information_input",
    "information_label",
    "resolved",
    "gradient_mean",
    "gradient_spread",
    "weight_norm",
    "loss",
    "error_rate",
    "diverged",
    "width",
    "depth",
    "epoch",
    "symbol",
    "meaning",
    "noise_model",
    "resolution",
)
ATTRIBUTES = ("title", "config", "task_information", "batch_size", "train_size")
# Fractions of a range, of which one stands for NaN.
LEVELS = 2**16 - 2
NAN = 2**16 - 1
# plotly's names of the markers of `ibdyn.marks`.
SYMBOLS = {
    "o": "circle",
    "s": "square",
    "D": "diamond",
    "^": "triangle-up",
    "v": "triangle-down",
    "P": "cross",
    "*": "star",
    "X": "x",
    "<": "triangle-left",
    ">": "triangle-right",
}


def needed(run: xr.Dataset) -> xr.Dataset:
    """What the page shows of a record, layers from the input to the output.

    What is not finite, as in members that diverged, becomes NaN. Raises ValueError for a record
    without the `ATTRIBUTES` that the page needs.
    """
    if lacking := [name for name in ATTRIBUTES if name not in run.attrs]:
        raise ValueError(f"has no attribute {', '.join(lacking)}")
    kept = run[[name for name in NEEDED if name in run.variables]].sortby("depth")
    for name, values in kept.data_vars.items():
        if values.dtype.kind == "f":
            kept[name] = values.where(np.isfinite(values)).assign_attrs(values.attrs)
    return kept.assign_attrs(run.attrs, patterns=run.sizes["pattern"])


def frames(run: xr.Dataset, most: int) -> NDArray[np.int64]:
    """Places of ``most`` recorded steps, or of all that there are: (frame,), ascending.

    They lie evenly in the order of the steps, the first and the last among them. Where an estimator
    was measured at some steps only, as many of these are added.
    """
    found = _evenly(np.arange(run.sizes["step"]), most)
    for name in run.estimator.values:
        measured = run.information_input.sel(estimator=name).notnull().any(("member", "layer"))
        found = np.union1d(found, _evenly(np.flatnonzero(measured.values), most))
    return found


def _evenly(places: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    if len(places) <= most:
        return places
    return places[np.unique(np.linspace(0, len(places) - 1, most).round().astype(int))]


def packed(name: str, run: xr.Dataset, most: int) -> dict[str, object]:
    """All that the page knows of the record ``name``, at `frames` of its steps, for JSON."""
    shown = run.isel(step=frames(run, most))
    return {
        "name": name,
        "title": str(run.attrs["title"]),
        "complete": bool(run.attrs.get("complete")),
        "members": run.member.values.tolist(),
        "diverged": run.member.values[run.diverged.values == 1].tolist(),
        "recorded": run.sizes["step"],
        "steps": shown.step.values.tolist(),
        "epochs": shown.epoch.values.tolist(),
        "ceiling": float(run.attrs["task_information"]),
        "layers": _layers(run),
        "estimators": _estimators(run),
        "points": {
            "input": _fractions(shown.information_input),
            "label": _fractions(shown.information_label),
            "resolved": _text(np.packbits(_ordered(shown.resolved == 1))),
        },
        "means": {
            axis: _interval(mean_interval(shown[variable]))
            for axis, variable in (("input", "information_input"), ("label", "information_label"))
        },
        "curves": list(_curves(shown)),
        "configuration": _flat(json.loads(run.attrs["config"])),
        "provenance": [
            [key, str(value)]
            for key, value in run.attrs.items()
            if key not in ("config", "title", "patterns")
        ],
    }


def _layers(run: xr.Dataset) -> list[dict[str, str]]:
    return [
        {
            "name": str(layer),
            "label": layer_label(run, layer),
            "symbol": SYMBOLS[marker],
            "colour": to_hex(colour),
        }
        for layer, marker, colour in zip(
            run.layer.values, layer_markers(run), layer_colours(run), strict=True
        )
    ]


def _estimators(run: xr.Dataset) -> list[dict[str, object]]:
    """Names and meanings; a ceiling log2(patterns) where the estimator has it, as in `planes`."""
    found = []
    for name in run.estimator.values.tolist():
        one = run.sel(estimator=name)
        text = {c: str(one[c].item()) for c in ("meaning", "resolution") if c in one.coords}
        noise = str(one.noise_model.item()) if "noise_model" in one.coords else ""
        bounded = not name.startswith(Gaussian.family)
        found.append(
            {
                "name": name,
                "symbol": str(one.symbol.item()) if "symbol" in one.coords else "I",
                "meaning": text.get("meaning", ""),
                "resolution": text.get("resolution", ""),
                "noise": "" if noise == "none" else noise,
                "ceiling": float(np.log2(run.attrs["patterns"])) if bounded else None,
            }
        )
    return found


def _curves(run: xr.Dataset) -> Iterator[dict[str, object]]:
    """The quantities that the page can draw against the epoch, each with its lines."""
    gradients = phases.gradient_curves(run, "paper")
    noise = phases.signal_to_noise(run)
    note = " A full batch has no minibatch noise." if noise.isnull().all() else ""
    yield {
        "title": "gradients, mean and spread",
        "about": "The drift and the noise of training in each layer: norm of the mean gradient "
        "(solid) and spread of the minibatch gradients (dashed), over the norm of the weights."
        + note,
        "more": "Where a layer's dashed line is above its solid one, noise exceeds drift. Lines "
        "are geometric means over members.",
        "axis": "gradient [nat], over the norm of the weights",
        "log": True,
        "lines": [
            *_layer_lines(gradients["mean"], "mean", "solid"),
            *_layer_lines(gradients["spread"], "spread", "dash"),
        ],
    }
    yield {
        "title": "signal-to-noise ratio",
        "about": "The drift of a step over its noise in each layer: norm of the mean gradient "
        "over the spread of the minibatch gradients." + note,
        "more": "Above 1 (dotted) drift exceeds noise. Lines are geometric means over members.",
        "axis": axis_label(noise),
        "log": True,
        "level": 1,
        "lines": _layer_lines(noise, "", "solid"),
    }
    for variable in ("loss", "error_rate"):
        if run[variable].isnull().all():
            continue
        splits: list[dict[str, object]] = [
            {"name": split, "layer": None, "dash": dash}
            | _interval(mean_interval(run[variable].sel(split=split)))
            for split, dash in (("train", "solid"), ("test", "dash"))
        ]
        yield {
            "title": str(run[variable].attrs["long_name"]),
            "about": f"The {run[variable].attrs['long_name']} on the training patterns (solid) and "
            "on the test patterns (dashed).",
            "more": "Lines are means over members.",
            "axis": axis_label(run[variable]),
            "log": False,
            "lines": splits,
        }


def _layer_lines(values: xr.DataArray, kind: str, dash: str) -> list[dict[str, object]]:
    """A line for each layer: geometric mean over members and its interval, where positive."""
    interval = geometric_interval(values)
    return [
        {"name": kind, "layer": place, "dash": dash} | _interval(interval.isel(layer=place))
        for place in range(values.sizes["layer"])
    ]


def _interval(interval: xr.Dataset) -> dict[str, object]:
    return {str(name): _floats(interval[name]) for name in ("mean", "low", "high")}


def _fractions(values: xr.DataArray) -> dict[str, str]:
    """Values as low + fraction / `LEVELS` (high - low), ends being those of estimator and layer."""
    low = values.min(("member", "step")).fillna(0)
    span = values.max(("member", "step")).fillna(0) - low
    fractions = (LEVELS * (values - low) / span.where(span > 0, 1)).round().fillna(NAN)
    return {
        "low": _floats(low),
        "span": _floats(span),
        "fractions": _text(_ordered(fractions).astype("<u2")),
    }


def _floats(values: xr.DataArray) -> str:
    return _text(_ordered(values).astype("<f4"))


def _ordered(values: xr.DataArray) -> NDArray:
    order = [d for d in ("estimator", "member", "step", "layer") if d in values.dims]
    return np.ascontiguousarray(values.transpose(*order).values)


def _text(numbers: NDArray) -> str:
    return base64.b64encode(numbers.tobytes()).decode("ascii")


def _flat(config: dict, prefix: str = "") -> list[list[str]]:
    """Fields as dotted names with their values, nested ones in place."""
    rows = []
    for key, value in config.items():
        if isinstance(value, dict):
            rows += _flat(value, f"{prefix}{key}.")
        else:
            rows.append([prefix + key, value if isinstance(value, str) else json.dumps(value)])
    return rows
