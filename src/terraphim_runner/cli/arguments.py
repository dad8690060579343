"""What several commands take in the same form."""

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path

from terraphim_runner.model.errors import UsageError
from terraphim_runner.model.secret import Secret

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_MAX_FILE_BYTES = 1024 * 1024


class VmChoice(StrEnum):
    """Where jobs run. ``process`` is no isolation at all."""

    AUTO = "auto"
    QEMU = "qemu"
    PROCESS = "process"


def pairs(items: Iterable[str], option: str, *, separator: str = "=") -> dict[str, str]:
    """Return ``K=V`` arguments as a mapping; a later one wins. Raises ``UsageError``."""
    found: dict[str, str] = {}
    for item in items:
        name, given, value = item.partition(separator)
        if not given or not _NAME.fullmatch(name):
            raise UsageError(f"found {option} {item!r}, expected NAME{separator}VALUE")
        found[name] = value
    return found


def secret_pairs(items: Iterable[str], environment: Mapping[str, str]) -> dict[str, Secret]:
    """Return ``K=V`` arguments, or ``K`` alone for the variable of that name, as secrets. Raises ``UsageError``.

    The text of a wrong argument is never shown: it may be a secret.
    """
    found: dict[str, Secret] = {}
    for item in items:
        name, given, value = item.partition("=")
        if not _NAME.fullmatch(name):
            raise UsageError("found a --secret without a valid name, expected NAME=VALUE, or NAME to take $NAME")
        if not given and name not in environment:
            raise UsageError(f"found --secret {name}, but the environment has no variable {name}")
        found[name] = Secret(value if given else environment[name])
    return found


def read_pairs_file(path: Path) -> dict[str, str]:
    """Return the ``K=V`` lines of a file; blank lines and lines that begin with ``#`` are skipped.

    A value in matching quotes loses them. Raises ``UsageError`` with the line's number, never its text.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise UsageError(f"could not read {str(path)!r}: {error.strerror}") from None
    if len(content) > _MAX_FILE_BYTES:
        raise UsageError(f"found more than {_MAX_FILE_BYTES} bytes in {str(path)!r}, expected lines NAME=VALUE")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(f"found bytes that are not UTF-8 in {str(path)!r}") from None
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        name, given, value = stripped.removeprefix("export ").partition("=")
        if not given or not _NAME.fullmatch(name.strip()):
            raise UsageError(f"found line {number} of {str(path)!r} in another form, expected NAME=VALUE")
        value = value.strip()
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        found[name.strip()] = value
    return found
