"""Digests of sparse files: a root file system of 4 GiB holds a few hundred MB."""

import errno
import hashlib
import os
from pathlib import Path

_BLOCK_BYTES = 1 << 20


def sparse_digest(path: Path) -> str:
    """Return a digest of the file's data and where it stands; holes cost no time."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        offset = 0
        while offset < size:
            try:
                start = os.lseek(file.fileno(), offset, os.SEEK_DATA)
            except OSError as error:
                if error.errno == errno.ENXIO:  # only a hole is left
                    break
                raise
            offset = os.lseek(file.fileno(), start, os.SEEK_HOLE)
            digest.update(b"%d:%d:" % (start, offset))
            position = start
            while position < offset:
                block = os.pread(file.fileno(), min(_BLOCK_BYTES, offset - position), position)
                digest.update(block)
                position += len(block)
        digest.update(b"%d" % size)
    return digest.hexdigest()
