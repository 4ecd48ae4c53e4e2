"""How far training goes at a time: to what is recorded, and to looks between recorded steps."""

import itertools
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Seconds between two looks at the clock, at signals and at the progress.
LOOK = 0.5


def log_spaced(last: int, count: int) -> NDArray[np.int64]:
    """Integers from 0 to ``last``, ``count`` of them, evenly spaced in the logarithm from 1 on.

    ValueError unless ``last`` is at least 0 and ``count`` at least 3.

    Where the logarithmic spacing falls below one every integer is taken, so early times are
    dense and no count is lost to rounding. A ``last`` below ``count`` gives 0, 1, ..., ``last``.

    >>> log_spaced(1000, 10)
    array([   0,    1,    2,    5,   12,   29,   70,  170,  412, 1000])
    """
    if last < 0 or count < 3:
        raise ValueError(f"expected last >= 0 and count >= 3, found last={last}, count={count}")
    if last < count:
        return np.arange(last + 1)
    times = [0, 1]
    while (left := count - len(times)) > 0:
        ratio = (last / times[-1]) ** (1 / left)
        times.append(max(times[-1] + 1, round(times[-1] * ratio)))
    return np.array(times)


def recorded_epochs(last: int, count: int, extra: Iterable[int] = ()) -> NDArray[np.int64]:
    """`log_spaced` epochs and the ``extra`` ones that the run reaches; raises as that does."""
    reached = [epoch for epoch in extra if epoch <= last]
    return np.union1d(log_spaced(last, count), np.array(reached, dtype=np.int64))


def paced(recorded: Sequence[int], begin: int = -1) -> Iterator[int]:
    """The recorded steps after ``begin``, and steps between them about `LOOK` seconds apart."""
    step, stride = max(begin, 0), 1
    for stop in recorded:
        if stop <= begin:
            continue
        while stop - step > stride:
            step += stride
            since = time.monotonic()
            yield step
            # Doubled and halved: the first steps may wait for compilation.
            stride = max(1, stride // 2 if time.monotonic() - since > LOOK else 2 * stride)
        step = stop
        yield stop


@dataclass(frozen=True)
class LogSchedule:
    """See `log`."""

    per_decade: int

    def __iter__(self) -> Iterator[int]:
        yield 0
        last = 0
        for power in itertools.count():
            step = round(10 ** (power / self.per_decade))
            if step > last:
                yield step
            last = step


def log(per_decade: int = 10) -> LogSchedule:
    """Steps evenly spaced in the logarithm, without an end: 0, 1, 2, 3, 4, 5, 6, 8, 10, 13, ...

    Of 1, ..., 10, ..., 100, ... each decade holds ``per_decade``, fewer where integers are too
    few. It can be gone through many times. ValueError unless ``per_decade`` is at least 1.

    >>> list(itertools.islice(log(5), 12))
    [0, 1, 2, 3, 4, 6, 10, 16, 25, 40, 63, 100]
    """
    if per_decade < 1:
        raise ValueError(f"per_decade is {per_decade}, expected at least 1")
    return LogSchedule(per_decade)
