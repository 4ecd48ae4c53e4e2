"""Estimators of layer information: activations in, bits out, each under its own name.

An estimator's name is made from its parameters ("binned-range-30") and says all of them, so that
a name in a configuration, on the command line or along a record's ``estimator`` dimension is the
estimator. `from_name` reads one back.
"""

from .binned import Binned
from .gaussian import Gaussian
from .mixture import Mixture
from .pairwise import Pairwise
from .protocol import CellEstimator, Estimator, Meaning, World
from .states import Exact, Quantised

__all__ = [
    "Binned",
    "CellEstimator",
    "Estimator",
    "Exact",
    "Gaussian",
    "Meaning",
    "Mixture",
    "Pairwise",
    "Quantised",
    "World",
    "from_name",
]

_FAMILIES: tuple[type[Binned | Exact | Gaussian | Mixture | Pairwise | Quantised], ...] = (
    Exact,
    Quantised,
    Binned,
    Pairwise,
    Mixture,
    Gaussian,
)


def from_name(name: str) -> Estimator:
    """The estimator called ``name``; ValueError, with the names there are, if there is none.

    >>> from_name("binned-width-0.07")
    Binned('width', width=0.07)
    """
    for family in _FAMILIES:
        if name.split("-")[0] == family.family:
            return family.from_name(name)
    known = ", ".join(form for family in _FAMILIES for form in family.forms)
    raise ValueError(f"estimator {name!r} is unknown, expected one of {known}")
