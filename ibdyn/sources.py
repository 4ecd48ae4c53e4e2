"""A number for the compiled code as it stands, to tell cached machine code from stale.

numba keeps compiled functions on disk and looks, when it loads one, at the file of that function
alone, not at those compiled into it. So every cached function takes `SOURCES` as a default
argument, which makes it part of the cache's key: any change in a compiled file compiles anew.
"""

import hashlib
from pathlib import Path


def digest(folder: Path) -> int:
    """63 bits of the sha256 over all Python files below ``folder`` that hold compiled functions."""
    sha = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        content = file.read_bytes()
        if b"njit" in content:
            sha.update(content)
    return int.from_bytes(sha.digest()[:8], "little") >> 1


SOURCES = digest(Path(__file__).parent)
