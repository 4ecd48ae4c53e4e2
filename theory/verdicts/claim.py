"""One claim: what is said, by whom, what would refute it, and how records are asked."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .finding import Finding
from .records import Records

Test = Callable[[Records, np.random.Generator], list[Finding]]
"""May raise `theory.verdicts.finding.InsufficientError`: then the claim is open."""


@dataclass(frozen=True)
class Claim:
    """What is claimed, and how records are asked.

    ``own`` are the records that it needs; without them it is open. ``more`` are those that its
    test also looks at where they are there.
    """

    number: int
    statement: str
    source: str
    observable: str
    statistic: str
    null: str
    refutation: str
    own: tuple[str, ...]
    test: Test
    more: tuple[str, ...] = ()

    @property
    def records(self) -> tuple[str, ...]:
        """All records that the test looks at."""
        return (*self.own, *self.more)
