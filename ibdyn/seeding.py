"""One root seed, many independent streams, each addressed by name and member."""

import hashlib

import numpy as np

STREAMS = (
    "weights",
    "split",
    "batches",
    "labels",
    "task",
    "noise",
    "measurement",
    "langevin",
    "fork",
)


def stream(seed: int, name: str, member: int = 0, *place: int) -> np.random.Generator:
    """Generator of the stream ``name`` of ensemble member ``member`` under the root ``seed``.

    A stream that is drawn from at many times has a ``place`` for each: an epoch, say, or a step
    and a layer. It depends on these alone: not on the ensemble's size, on the order in which
    streams are asked for, or on what was drawn from others. ``name`` is one of `STREAMS`.
    ValueError for another name, or a negative member.

    >>> a, b = stream(0, "weights", 3), stream(0, "weights", 3)
    >>> bool(a.random() == b.random())
    True
    """
    return np.random.Generator(np.random.PCG64(sequence(seed, name, member, *place)))


def key(seed: int, name: str, member: int = 0, *place: int) -> int:
    """64-bit key of a stream, for generators that count and keep no state; raises as `stream`."""
    return int(sequence(seed, name, member, *place).generate_state(1, np.uint64)[0])


def sequence(seed: int, name: str, member: int, *place: int) -> np.random.SeedSequence:
    """Seed sequence at this address; raises as `stream`."""
    if name not in STREAMS:
        raise ValueError(f"stream {name!r} is unknown, expected one of {', '.join(STREAMS)}")
    if member < 0:
        raise ValueError(f"member of stream {name!r} is {member}, expected 0 or more")
    word = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "little")
    return np.random.SeedSequence(seed, spawn_key=(word, member, *place))
