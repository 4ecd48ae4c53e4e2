"""Is information the same for a layer and for a copy of it that says the same in other words?

    python -m simulations.reparametrisation --scale quick --out results

Mutual information does not change under an invertible map of a layer. Each hidden layer of trained
networks (the record ``markov_chain.nc``, made where it is not there) is measured anew after maps
that lose nothing: its units in another order, a strictly monotone map of all units, a rotation; and
after the weights into it have been shuffled, which is no map of the layer but another network. The
estimators are that of exact states, cells, and pairwise distances. The figure shows the change of
I(X;T) by layer; the values are in ``reparametrisation.nc``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import tyro
import xarray as xr
from numpy.typing import NDArray

from ibdyn import output, storage
from ibdyn.ensemble import Ensemble
from ibdyn.estimators import from_name
from ibdyn.estimators.protocol import World
from ibdyn.replay import ensemble_of
from ibdyn.response import respond
from simulations import markov_chain
from simulations.experiment import Experiment, Scale
from theory.fitting import mean_interval

KIND = "reparametrisation"
ESTIMATORS = ("exact", "binned-range-30", "pairwise-upper-0.001")
COLOURS = {"exact": "#000000", "binned-range-30": "#0072b2", "pairwise-upper-0.001": "#d55e00"}
Map = Callable[[NDArray, np.random.Generator], NDArray]
# Steepness of the monotone map t -> sinh(STEEPNESS t) / sinh(STEEPNESS) of [-1, 1] onto itself.
STEEPNESS = 2.0


@dataclass(frozen=True)
class Arguments(Experiment):
    """Information before and after a layer is written in another way."""

    scale: Scale = "quick"
    """Of the record: smoke, seconds; quick, 20 members; paper, 50 members to epoch 10 000."""


def permuted(layer: NDArray, rng: np.random.Generator) -> NDArray:
    """The units of a layer (pattern, unit) in another order."""
    return layer[:, rng.permutation(layer.shape[1])]


def monotone(layer: NDArray, rng: np.random.Generator) -> NDArray:
    """A strictly increasing map of [-1, 1] onto itself, in every unit."""
    return np.sinh(STEEPNESS * layer) / np.sinh(STEEPNESS)


def rotated(layer: NDArray, rng: np.random.Generator) -> NDArray:
    """A random rotation, by the Haar measure."""
    q, r = np.linalg.qr(rng.standard_normal((layer.shape[1],) * 2))
    q *= np.sign(np.diag(r))
    # Not a product of matrices, in which equal rows may be rounded differently.
    return sum(layer[:, [unit]] * q[unit] for unit in range(len(q)))


MAPS: Mapping[str, Map] = {
    "unchanged": lambda layer, rng: layer,
    "permuted units": permuted,
    "monotone map": monotone,
    "rotation": rotated,
}
SHUFFLED = "shuffled weights"


def main(argv: Sequence[str] | None = None) -> None:
    """Measure the layers of trained networks as they are and after each map."""
    arguments = tyro.cli(Arguments, args=argv, description=__doc__)
    values, picture = (arguments.out / f"reparametrisation.{kind}" for kind in ("nc", "png"))
    output.check_writable(values)
    run = markov_chain.trained(
        markov_chain.Arguments(scale=arguments.scale, out=arguments.out, seed=arguments.seed)
    )
    found = measured(run, np.random.default_rng(arguments.seed))
    storage.write(found, values)
    with output.picture(picture):
        draw(found)
    print(summary(found))
    print(f"wrote {values} and {picture}")


def measured(run: xr.Dataset, rng: np.random.Generator) -> xr.Dataset:
    """``information_input`` (map, estimator, member, layer), in bits, at the last record."""
    ensemble = ensemble_of(run)
    parameters = np.ascontiguousarray(run.parameters.isel(step=-1).transpose("member", ...).values)
    layers = layers_of(ensemble, parameters)
    known = (
        run.p_x.values,
        run.p_y_given_x.transpose("pattern", "label").values,
        run.in_train.transpose("member", "pattern").values.astype(bool),
    )

    # In float64, so that no two states of float32 are rounded into one by the map itself.
    def information(activations: NDArray, k: int) -> list[NDArray]:
        limits, world = ensemble.architecture.layers[k].limits, World(*known)
        return [
            from_name(name).information(activations, limits, world)["information_input"]
            for name in ESTIMATORS
        ]

    rows = {
        name: [
            information(np.stack([change(t, rng) for t in layer.astype(float)]), k)
            for k, layer in enumerate(layers)
        ]
        for name, change in MAPS.items()
    }
    rows[SHUFFLED] = [
        information(shuffled_layer(ensemble, parameters, k, rng).astype(float), k)
        for k in range(len(layers))
    ]
    stacked = np.array(list(rows.values())).transpose(0, 2, 3, 1)
    found = xr.DataArray(
        stacked,
        {
            "map": list(rows),
            "estimator": list(ESTIMATORS),
            "member": run.member.values,
            "layer": run.layer.values[:-1],
        },
        ("map", "estimator", "member", "layer"),
        attrs={"units": "bit", "long_name": "encoder information I(X;T)"},
    )
    attrs = {storage.KIND: KIND, "history": run.attrs["history"]}
    return xr.Dataset({"information_input": found}, attrs=attrs)


def layers_of(ensemble: Ensemble, parameters: NDArray) -> list[NDArray]:
    """Activations (member, pattern, unit) of every hidden layer."""
    activations, _ = respond(ensemble, parameters, 0, slice(None))
    return list(activations[:-1])


def shuffled_layer(
    ensemble: Ensemble, parameters: NDArray, k: int, rng: np.random.Generator
) -> NDArray:
    """Activations of hidden layer ``k`` with the entries of its weight matrix shuffled."""
    own = parameters.copy()
    first = ensemble.architecture.layers[k].weights
    own[:, first] = rng.permuted(own[:, first], axis=1)
    return layers_of(ensemble, own)[k]


def draw(found: xr.Dataset) -> None:
    """Change of I(X;T) by layer: a panel for each map, a colour for each estimator."""
    change = changes(found)
    _, axes = plt.subplots(1, change.sizes["map"], figsize=(14, 4), layout="constrained")
    at = np.arange(change.sizes["layer"])
    for ax, name in zip(axes, change.map.values, strict=True):
        for shift, (estimator, colour) in zip((-0.15, 0, 0.15), COLOURS.items(), strict=True):
            interval = mean_interval(change.sel(map=name, estimator=estimator))
            mean = interval["mean"].values
            bars = np.stack([mean - interval["low"], interval["high"] - mean])
            ax.errorbar(
                at + shift, mean, yerr=bars, fmt="o", color=colour, capsize=2, label=estimator
            )
        ax.axhline(0, color="0.6", linewidth=0.8)
        ax.set(title=name, xlabel="hidden layer", xticks=at, xticklabels=change.layer.values)
    axes[0].set_ylabel("change of I(X;T) [bit]")
    axes[0].legend(fontsize="small")


def changes(found: xr.Dataset) -> xr.DataArray:
    """I(X;T) after each map less that of the layer as it is."""
    information = found.information_input
    change: xr.DataArray = information - information.sel(map="unchanged", drop=True)
    return change.drop_sel(map="unchanged")


def summary(found: xr.Dataset) -> str:
    """Largest change of any member and layer, by map and estimator."""
    largest = abs(changes(found)).max(("member", "layer"))
    lines = [f"largest change of I(X;T) [bit] {''.join(f'{e:>22}' for e in ESTIMATORS)}"]
    for name in largest.map.values:
        cells = "".join(f"{float(v):22.2e}" for v in largest.sel(map=name))
        lines.append(f"{name:>30} {cells}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
