"""The stored result A6 of Shwartz-Ziv & Tishby, trained anew and compared cell by cell.

    python -m simulations.stored_result --out results

trains 8 networks at the settings of result A6 (preset ``szt2017-stored``: full-batch Adam, so
without any minibatch noise, 10 000 epochs) and compares the mean I(X;T) and I(T;Y) of every layer
with the published means over 20 seeds (``data/szt2017_a6.csv``). It writes the record
``stored_result.nc`` and the table ``stored_result.csv``, and prints the worst cell. A cell agrees
if the difference is within 4 standard errors plus 0.01 bit, the rounding of the published table
included.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
import xarray as xr

import ibdyn
from ibdyn import output
from ibdyn.presets import preset

PUBLISHED_MEMBERS = 20
STANDARD_ERRORS = 4
ROUNDING = 0.01


@dataclass(frozen=True)
class Arguments:
    """Result A6, trained anew."""

    out: Path = Path("results")
    """Folder for the record and the table."""
    members: int = 8
    """Number of networks."""
    published: Path = Path("data/szt2017_a6.csv")
    """The published table."""
    record: Path | None = None
    """Compare this record instead of training."""


def main(argv: Sequence[str] | None = None) -> None:
    """Train (or load), compare, write the table, and print the worst cell."""
    arguments = tyro.cli(Arguments, args=argv, description=__doc__)
    table = arguments.out / "stored_result.csv"
    output.check_writable(table)
    published = read_published(arguments.published)
    if arguments.record is None:
        config = preset("szt2017-stored").model_copy(update={"members": arguments.members})
        run = ibdyn.simulate_once(
            config,
            arguments.out / "stored_result.nc",
            command="python -m simulations.stored_result",
        )
    else:
        run = ibdyn.load(arguments.record)
    rows = compare(run, published)
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(summary(rows))
    print(f"wrote {table}")


def read_published(path: Path) -> list[dict[str, str]]:
    """Rows of the published table: epoch, quantity, layer, mean and, where given, sd in bits."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def compare(run: xr.Dataset, published: Sequence[dict[str, str]]) -> list[dict[str, Any]]:
    """Each published cell beside the record's, in bits.

    The standard error of the difference takes the published sd where there is one and ours, which
    has the same expectation, where there is none: sqrt(sd_ours^2 / members + sd_theirs^2 / 20).
    """
    rows = []
    for cell in published:
        at = int(np.flatnonzero(run.epoch.values == float(cell["epoch"]))[0])
        values = run[cell["quantity"]].isel(step=at, estimator=0).sel(layer=cell["layer"])
        sd = float(values.std("member", ddof=1))
        theirs = float(cell["published_sd"] or sd)
        error = np.sqrt(sd**2 / values.size + theirs**2 / PUBLISHED_MEMBERS)
        difference = float(values.mean()) - float(cell["published"])
        rows.append(
            {
                **cell,
                "ours": round(float(values.mean()), 4),
                "ours_sd": round(sd, 4),
                "members": values.size,
                "difference": round(difference, 4),
                "allowed": round(float(STANDARD_ERRORS * error + ROUNDING), 4),
            }
        )
    return rows


def share(row: dict[str, Any]) -> float:
    """How much of the allowed difference a cell uses; above 1 it disagrees."""
    return float(abs(row["difference"]) / row["allowed"])


def summary(rows: Sequence[dict[str, Any]]) -> str:
    """How many cells agree, and the worst one."""
    worst = max(rows, key=share)
    agree = sum(share(row) <= 1 for row in rows)
    return (
        f"{agree} of {len(rows)} cells agree; the worst is {worst['quantity']} of layer "
        f"{worst['layer']} at epoch {worst['epoch']}: published {worst['published']}, "
        f"ours {worst['ours']}, difference {worst['difference']} of {worst['allowed']} bit allowed"
    )


if __name__ == "__main__":
    main()
