"""Images and labels that exist: IDX files, as MNIST's, NumPy files, scikit-learn's digits."""

import gzip
import math
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

GZIP = b"\x1f\x8b"
# The third byte of an IDX file says what its numbers are; they are big-endian.
IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_array(path: str | Path) -> NDArray:
    """The array of a ``.npy`` or an IDX file, compressed with gzip or not.

    Raises FileNotFoundError, or ValueError for a file that is neither, or not whole.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"task file {path} does not exist")
    if path.suffix == ".npy":
        array: NDArray = np.load(path, allow_pickle=False)
        return array
    with path.open("rb") as file:
        compressed = file.read(2) == GZIP
        file.seek(0)
        try:
            return read_idx(gzip.open(file) if compressed else file)  # type: ignore[arg-type]
        except (ValueError, OSError, EOFError) as error:
            raise ValueError(f"{path} is no whole IDX file: {error}") from error


def read_idx(file: BinaryIO) -> NDArray:
    """The array of an IDX file: two zeros, type, number of axes, the axes, then the numbers.

    No more is read than the axes ask for. ValueError where something else is found.
    """
    head = file.read(4)
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in IDX_TYPES or not head[3]:
        raise ValueError(f"it begins with {head.hex(' ')}, expected 00 00 TYPE AXES")
    dtype = np.dtype(IDX_TYPES[head[2]])
    axes = file.read(4 * head[3])
    if len(axes) < 4 * head[3]:
        raise ValueError(f"it ends within its {head[3]} axes")
    shape = tuple(np.frombuffer(axes, ">u4").tolist())
    expected = math.prod(shape) * dtype.itemsize
    content = bytearray()
    while len(content) <= expected and (part := file.read(2**20)):
        content += part
    if len(content) != expected:
        amount = f"{len(content)}" if len(content) < expected else "more"
        raise ValueError(f"it holds {amount} bytes, expected {expected} of the shape {shape}")
    return np.frombuffer(bytes(content), dtype).reshape(shape).astype(dtype.newbyteorder("="))


def as_inputs(values: NDArray) -> NDArray[np.float64]:
    """Images (pattern, ...) as rows of inputs, bytes as numbers from 0 to 1."""
    rows = values.reshape(len(values), -1).astype(float)
    return rows / 255 if values.dtype == np.uint8 else rows


def digits() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """1797 handwritten digits of 8 x 8 pixels from 0 to 1, and what they are (UCI, Alpaydin 1998).

    Raises ImportError where scikit-learn, which ships them, is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError(
            "the task digits comes with scikit-learn, which is not installed: "
            "pip install 'ibdyn[digits]'"
        ) from error
    found = load_digits()
    return found.data / 16, found.target.astype(np.int64)
