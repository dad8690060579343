"""Guest memory that many machines map copy-on-write: a sealed memfd per template."""

import fcntl
import os

_COPY_AT_ONCE = 8 << 20


def create(name: str, size_bytes: int) -> int:
    """Return a new memfd of that size, which can be sealed later."""
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size_bytes)
    return fd


def holding(name: str, content: bytes) -> int:
    """Return a sealed memfd with that content."""
    fd = create(name, len(content))
    view = memoryview(content)
    position = 0
    while position < len(view):
        position += os.pwrite(fd, view[position:], position)
    seal(fd)
    return fd


def seal(fd: int) -> None:
    """Make it unchangeable for ever, for us too. No writable mapping of it may be left."""
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE)


def copy_sparse(source: int, target: int, size_bytes: int) -> None:
    """Copy what is not a hole; the target must be new, and is made as long as the source."""
    os.ftruncate(target, size_bytes)
    position = 0
    while position < size_bytes:
        try:
            position = os.lseek(source, position, os.SEEK_DATA)
        except OSError:
            # ENXIO: nothing but a hole follows.
            return
        end = os.lseek(source, position, os.SEEK_HOLE)
        while position < end:
            block = os.pread(source, min(_COPY_AT_ONCE, end - position), position)
            if not block:
                raise OSError(f"found an end at {position}, expected {size_bytes} bytes")
            written = 0
            while written < len(block):
                written += os.pwrite(target, memoryview(block)[written:], position + written)
            position += len(block)


def load(name: str, path_fd: int) -> int:
    """Return a sealed memfd with a file's content."""
    size_bytes = os.fstat(path_fd).st_size
    fd = create(name, size_bytes)
    try:
        copy_sparse(path_fd, fd, size_bytes)
        seal(fd)
    except BaseException:
        os.close(fd)
        raise
    return fd


def close(fd: int) -> None:
    """Give the memory up; it goes with its last mapping."""
    os.close(fd)
