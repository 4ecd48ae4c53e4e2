"""A digest of a file's bytes behind the end that HDF5 reads, so that damage is found before it.

The HDF5 library trusts what it reads: on bytes that are not what was written it can compute without
end, or crash, and no caller can catch that. Programs that read NetCDF pass over the seal; one that
writes to the file cuts it off.
"""

import hashlib
import os
from pathlib import Path
from typing import BinaryIO

HDF5 = b"\x89HDF\r\n\x1a\n"
MARK = b"ibdynsha"
SIZE = len(MARK) + hashlib.sha256().digest_size
# Superblocks 2 (which netCDF writes) and 3 say in bytes 28 to 35 where the file ends.
VERSIONS, HEAD = (2, 3), 36
PIECE = 2**20


def seal(path: Path) -> None:
    """Append the mark and the sha256 of all bytes before it; OSError where there is no room."""
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.write(MARK + _digest(file, size))


def fault(path: Path) -> str | None:
    """What is wrong with a file as far as its bytes tell: empty, of another kind, cut or changed.

    None for a file as it was sealed; and for one without a seal that ends where HDF5 says it does,
    as other programs write them.
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        head = file.read(HEAD)
        file.seek(max(0, size - SIZE))
        tail = file.read(SIZE)
        if tail.startswith(MARK):
            sealed = tail == MARK + _digest(file, size - SIZE)
            return None if sealed else "it is damaged, its bytes do not match their sha256"
    if not size:
        return "it is empty"
    if not head.startswith(HDF5):
        return "it is of another kind"
    if size < HEAD:
        return f"it is truncated, {size} bytes of more"
    end = int.from_bytes(head[28:HEAD], "little")
    if head[len(HDF5)] not in VERSIONS or size == end:
        return None
    if size < end + SIZE:
        return f"it is truncated, {size} bytes of {end + SIZE}"
    return f"it is damaged, {size - end} bytes after its end are no seal"


def _digest(file: BinaryIO, size: int) -> bytes:
    """sha256 of the first ``size`` bytes; the file is left at their end."""
    digest = hashlib.sha256()
    file.seek(0)
    for start in range(0, size, PIECE):
        digest.update(file.read(min(PIECE, size - start)))
    return digest.digest()
