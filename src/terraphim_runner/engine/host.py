"""Who this host is: an identity that is made once and kept in the data directory across restarts."""

import os
import re
import secrets
from pathlib import Path

from terraphim_runner.model.errors import InfrastructureError
from terraphim_runner.model.ids import HostId


def host_identity(data_directory: Path) -> HostId:
    """Return this host's identity; the first call makes it. Raises ``InfrastructureError`` when it cannot be kept."""
    path = data_directory / "host-id"
    try:
        data_directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            return _read(path)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            identity = secrets.token_hex(6)
            file.write(identity + "\n")
        return HostId(identity)
    except OSError as error:
        raise InfrastructureError(
            doing=f"keep this host's identity in {str(path)!r}",
            reason=error.strerror or str(error),
            fix="make the data directory writable, or set TERRAPHIM_DATA_DIR to one that is",
        ) from None


def _read(path: Path) -> HostId:
    found = path.read_text(encoding="ascii", errors="replace").strip()
    if not re.fullmatch(r"[0-9a-z-]{1,40}", found):
        raise InfrastructureError(
            doing=f"read this host's identity from {str(path)!r}",
            reason=f"found {found[:40]!r}, expected up to 40 digits and lower-case letters",
            fix="remove the file; a new identity is made at the next start",
        )
    return HostId(found)
