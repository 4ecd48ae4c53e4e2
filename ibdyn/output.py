"""What a record leaves for people: its pictures, and a table of what it holds."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import xarray as xr


def check_writable(path: Path) -> None:
    """Make the folder of ``path``, and raise OSError where the file could not be written there.

    Meant for before any work: IsADirectoryError for a folder, PermissionError without rights.
    """
    if path.is_dir():
        raise IsADirectoryError(f"out: {path} is a folder, expected a file")
    path.parent.mkdir(parents=True, exist_ok=True)
    if not os.access(path.parent, os.W_OK):
        raise PermissionError(f"out: folder {path.parent} is not writable")


@contextmanager
def picture(path: Path) -> Iterator[None]:
    """Save the figure that is drawn meanwhile, without a screen, to ``path``."""
    import matplotlib.pyplot as plt

    with plt.rc_context({"backend": "agg"}):
        yield
        plt.savefig(path, dpi=150)
        plt.close()


def draw(
    record: xr.Dataset, folder: Path, stem: str, *, estimator: str | None = None
) -> list[Path]:
    """Save every figure of a record as ``folder/stem-FIGURE.png``, and return the files.

    Planes are those of ``estimator``, the record's first unless given; ValueError for one that the
    record does not have.
    """
    from . import figures

    folder.mkdir(parents=True, exist_ok=True)
    if estimator is not None:
        record = record.sel(
            estimator=[figures.choose_estimator(record, estimator).estimator.item()]
        )
    pictures = []
    for name, figure in figures.FIGURES.items():
        pictures.append(folder / f"{stem}-{name}.png")
        with picture(pictures[-1]):
            figure(record)
    return pictures


def describe(record: xr.Dataset) -> str:
    """What a record holds, as a table for people; information in bits, loss in nats."""
    steps, epochs = record.step.values, record.epoch.values
    last = record.isel(step=-1)
    real = "p_y_given_x" not in record
    lines = [
        record.attrs["title"],
        f"source     {record.attrs['source']}",
        *(f"history    {line}" for line in record.attrs["history"].splitlines()),
        f"complete   {'yes' if record.attrs.get('complete') else 'no'}",
        f"members    {record.sizes['member']} ({int(record.diverged.sum())} diverged)",
        f"steps      {len(steps)} recorded, 0 to {steps[-1]} (epoch {epochs[-1]:g})",
        f"task       {record.attrs['task']}: {record.sizes['pattern']} patterns, "
        f"I(X;Y) = {record.attrs['task_information']:.6f} bit, "
        f"{'h' if real else 'H'}(Y) = {record.attrs['label_entropy']:.6f} bit",
        f"training   {record.attrs['train_size']} patterns, "
        f"batches of {record.attrs['batch_size']}",
        f"parameters {record.sizes.get('parameter', 0)} a network",
        f"size       {record.nbytes / 2**20:.1f} MiB in memory",
        "",
        "mean over members at the last step:",
    ]
    for split in record.split.values:
        one = last.sel(split=split)
        lines.append(
            f"  {split:6} loss {float(one.loss.mean()):.4f} nat"
            + ("" if real else f", error rate {float(one.error_rate.mean()):.4f}")
        )
    layers = "".join(f"{layer:>9}" for layer in record.layer.values)
    for estimator in record.estimator.values:
        lines.append(f"  {estimator}, bit{'layer':>{max(1, 22 - len(estimator))}}{layers}")
        for symbol, name in (("I(X;T)", "information_input"), ("I(T;Y)", "information_label")):
            mean = last[name].sel(estimator=estimator).mean("member").values
            lines.append(f"{symbol:>34}" + "".join(f"{v:9.3f}" for v in np.atleast_1d(mean)))
    return "\n".join(lines)
