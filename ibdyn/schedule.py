"""Which epochs are recorded."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


def log_spaced(last: int, count: int) -> NDArray[np.int64]:
    """Integers from 0 to ``last``, ``count`` of them, evenly spaced in the logarithm from 1 on.

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
    """`log_spaced` epochs and those of the ``extra`` ones that the run reaches."""
    reached = [epoch for epoch in extra if epoch <= last]
    return np.union1d(log_spaced(last, count), np.array(reached, dtype=np.int64))
