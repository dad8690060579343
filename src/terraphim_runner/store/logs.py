"""Job logs: one file of JSON lines for each job, appended to while it runs and read while it grows.

A line of the file is ``{"at": …, "step": …, "kind": …, "text": …}``. A file is bounded: once it is full a notice says
so and the rest is dropped. After a crash the last line may be cut off: a writer begins on a new line, readers pass
over what is not a whole line.
"""

import errno
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

from terraphim_runner.model.ids import JobId, RunId
from terraphim_runner.model.job import LogKind, LogLine

MAX_LINE_BYTES: Final = 2 * 1024 * 1024
"""Longer lines in a file were not written by us; they are passed over in pieces."""

RESERVED_BYTES: Final = 16 * 1024 * 1024
"""What logs leave free on their disk, so that verdicts can still be stored there."""

_CHECK_EVERY_BYTES: Final = 1024 * 1024

_PREFIX: Final = {
    LogKind.COMMAND: "##[command]",
    LogKind.GROUP: "##[group]",
    LogKind.ENDGROUP: "##[endgroup]",
    LogKind.NOTICE: "##[notice]",
    LogKind.WARNING: "##[warning]",
    LogKind.ERROR: "##[error]",
    LogKind.DEBUG: "##[debug]",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSlice:
    """Whole lines of a log, and the offset at which the next call goes on."""

    lines: tuple[LogLine, ...]
    next: int


class LogStore:
    """The folder of all logs: ``<root>/<run>/<job>.jsonl``."""

    def __init__(self, root: Path, *, limit_bytes: int, reserved_bytes: int = RESERVED_BYTES) -> None:
        self._root = root
        self._limit_bytes = limit_bytes
        self._reserved_bytes = reserved_bytes

    def path(self, run_id: RunId, job_id: JobId) -> Path:
        # Both are numbers, checked again here because they name a file.
        return self._root / str(int(run_id)) / f"{int(job_id)}.jsonl"

    def writer(self, run_id: RunId, job_id: JobId) -> "LogWriter":
        """Open a log to be appended to."""
        path = self.path(run_id, job_id)
        return LogWriter(path, limit_bytes=self._limit_bytes, reserved_bytes=self._reserved_bytes)

    def remove(self, run_id: RunId) -> None:
        """Remove every log of a run. Raises ``OSError``; repeatable."""
        folder = self._root / str(int(run_id))
        if folder.exists():
            shutil.rmtree(folder)

    def read(self, run_id: RunId, job_id: JobId, *, after: int = 0, max_bytes: int) -> LogSlice:
        """Return whole lines from an offset on, as many as fit into ``max_bytes``.

        An offset inside of a line goes on with the line after it; one past the end gives nothing.
        """
        try:
            file = self.path(run_id, job_id).open("rb")
        except FileNotFoundError:
            return LogSlice(lines=(), next=after)
        with file:
            start = _line_start(file, after)
            file.seek(start)
            data = file.read(max_bytes)
            whole = data[: data.rfind(b"\n") + 1]
            if not whole and len(data) == max_bytes:
                whole = data
            return LogSlice(lines=tuple(_lines(whole)), next=start + len(whole))


class LogWriter:
    """Appends lines to one log. Not to be shared by threads; ``close`` it."""

    def __init__(self, path: Path, *, limit_bytes: int, reserved_bytes: int) -> None:
        self._reserved_bytes = reserved_bytes
        self._unchecked_bytes = _CHECK_EVERY_BYTES
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._file = os.fdopen(descriptor, "ab")
        self._limit_bytes = limit_bytes
        self._size = self._file.seek(0, os.SEEK_END)
        self._full = self._size >= limit_bytes
        if self._size and os.pread(descriptor, 1, self._size - 1) != b"\n":
            self._size += self._file.write(b"\n")
            self._file.flush()

    def append(self, lines: Sequence[LogLine]) -> None:
        """Append lines, so that readers see them when this returns. Raises ``OSError`` when the disk is nearly full."""
        self._check_disk()
        before = self._size
        for line in lines:
            if self._full:
                break
            data = _encode(line)
            if self._size + len(data) > self._limit_bytes:
                self._full = True
                text = f"the log is cut here: it reached its limit of {self._limit_bytes} bytes"
                data = _encode(LogLine(at=line.at, step=line.step, text=text, kind=LogKind.NOTICE))
            self._size += self._file.write(data)
        self._unchecked_bytes += self._size - before
        self._file.flush()

    def _check_disk(self) -> None:
        if self._unchecked_bytes < _CHECK_EVERY_BYTES:
            return
        self._unchecked_bytes = 0
        disk = os.fstatvfs(self._file.fileno())
        if disk.f_bavail * disk.f_frsize < self._reserved_bytes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def close(self) -> None:
        self._file.close()


def as_text(line: LogLine) -> str:
    """Return a line as GitHub's log files show it: the time, a space, the text with its marker."""
    at = line.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"
    return f"{at} {_PREFIX.get(line.kind, '')}{line.text}"


def as_json(line: LogLine) -> dict[str, Any]:
    """Return a line as plain JSON values."""
    return {"at": line.at.isoformat(), "step": line.step, "kind": line.kind, "text": line.text}


def _encode(line: LogLine) -> bytes:
    return json.dumps(as_json(line), ensure_ascii=False, separators=(",", ":")).encode(errors="replace") + b"\n"


def _line_start(file: BinaryIO, offset: int) -> int:
    end = file.seek(0, os.SEEK_END)
    if offset <= 0 or offset >= end:
        return max(0, offset)
    file.seek(offset - 1)
    before = file.read(1)
    if before != b"\n":
        file.readline(MAX_LINE_BYTES)
    return file.tell()


def _lines(data: bytes) -> Iterator[LogLine]:
    for raw in data.split(b"\n"):
        if not raw:
            continue
        try:
            value = json.loads(raw)
            yield LogLine(
                at=datetime.fromisoformat(value["at"]),
                step=int(value["step"]),
                text=str(value["text"]),
                kind=LogKind(value["kind"]),
            )
        except (ValueError, KeyError, TypeError):
            # Cut off by a crash.
            continue
