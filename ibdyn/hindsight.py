"""Estimators that need the whole run: measured when it is over, on the parameters it kept."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from . import probes
from .ensemble import Ensemble
from .estimators import Estimator
from .response import respond

Extremes = list[tuple[NDArray, NDArray]]


def extremes(ensemble: Ensemble, steps: Sequence[int], history: Iterable[NDArray]) -> Extremes:
    """Least and greatest activation of each layer, each (member,), over a run.

    ``history`` are the parameters (member, parameter) of each of ``steps``; the result is a pair
    for each layer. What is not finite does not count; a member that never is has NaN.
    """
    layers, members = len(ensemble.architecture.layers), len(ensemble.members)
    low, high = np.full((2, layers, members), np.nan)
    for step, parameters in zip(steps, history, strict=True):
        for block in probes.blocks(members):
            for j, t in enumerate(respond(ensemble, parameters[block], step, block)[0]):
                least, greatest = t.min((1, 2)), t.max((1, 2))
                finite = np.isfinite(least) & np.isfinite(greatest)
                low[j, block] = np.fmin(low[j, block], np.where(finite, least, np.nan))
                high[j, block] = np.fmax(high[j, block], np.where(finite, greatest, np.nan))
    return list(zip(low, high, strict=True))


def fill(
    ensemble: Ensemble,
    steps: Sequence[int],
    history: Sequence[NDArray],
    rows: Sequence[probes.Arrays],
    estimators: Sequence[Estimator],
) -> None:
    """Write to the ``rows`` of ``steps`` what estimators could not measure before the end.

    ``history`` are the parameters (member, parameter) of each step, NaN where not kept: there the
    estimates stay NaN. Rows hold the arrays of `probes.layer_information` for all ``estimators``.
    """
    late = [i for i, estimator in enumerate(estimators) if estimator.over_run]
    if not late:
        return
    chosen = [estimators[i] for i in late]
    found = extremes(ensemble, steps, history)
    for step, parameters, row in zip(steps, history, rows, strict=True):
        for block in probes.blocks(len(parameters)):
            limits = [(low[block], high[block]) for low, high in found]
            own = parameters[block]
            activations = respond(ensemble, own, step, block)[0]
            values = probes.layer_information(
                ensemble, own, activations, chosen, block, step, limits
            )
            for name, array in values.items():
                row[name][late, block] = array
