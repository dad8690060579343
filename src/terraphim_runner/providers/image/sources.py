"""Reads the host's own package sources, so that a build honours its mirrors.

Only entries of Debian's own archive for the wanted suite are taken; third-party repositories, sources of source
packages, disabled entries and addresses with a password in them are not. Formats: sources.list(5), one-line and deb822.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

APT_DIRECTORY = Path("/etc/apt")
_COMPONENTS = frozenset({"main", "contrib", "non-free", "non-free-firmware"})
_ARCHIVES = frozenset({"debian", "debian-security"})
_MAX_FILE_BYTES = 1 << 20
_ONE_LINE = re.compile(r"deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s*(?P<components>.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One address of one suite. ``signed_by`` is the keyring that the host demands, if it names a file."""

    uri: str
    suite: str
    components: tuple[str, ...]
    signed_by: str | None = None

    def one_line(self) -> str:
        """Return it as a line of ``sources.list``."""
        options = f"[signed-by={self.signed_by}] " if self.signed_by else ""
        return f"deb {options}{self.uri} {self.suite} {' '.join(self.components)}"


def host_sources(suite: str, apt_directory: Path = APT_DIRECTORY) -> list[Source]:
    """Return the host's sources of Debian's archive for ``suite``, with its updates and security fixes.

    Empty when the host does not carry the suite itself: it is another release, or not Debian; the caller then leaves
    the choice of a mirror to its tool. Files that cannot be read count as empty.
    """
    found: list[Source] = []
    for path in (apt_directory / "sources.list", *sorted((apt_directory / "sources.list.d").glob("*"))):
        if path.suffix == ".list":
            found += parse_one_line(_read(path))
        elif path.suffix == ".sources":
            found += parse_deb822(_read(path))
    wanted = (suite, f"{suite}-updates", f"{suite}-security")
    official = [source for source in found if source.suite in wanted and _is_official(source)]
    unique = list(dict.fromkeys(official))
    return unique if any(source.suite == suite for source in unique) else []


def parse_one_line(text: str) -> list[Source]:
    """Return the enabled binary sources of a ``sources.list``; lines in another form are passed over."""
    found: list[Source] = []
    for line in text.splitlines():
        match = _ONE_LINE.fullmatch(line.split("#", 1)[0].strip())
        if match is None:
            continue
        options = dict(word.split("=", 1) for word in (match["options"] or "").split() if "=" in word)
        found.append(
            Source(
                uri=match["uri"],
                suite=match["suite"],
                components=tuple(match["components"].split()),
                signed_by=_keyring(options.get("signed-by", "")),
            )
        )
    return found


def parse_deb822(text: str) -> list[Source]:
    """Return the enabled binary sources of a ``.sources`` file, one per address and suite."""
    found: list[Source] = []
    for stanza in _stanzas(text):
        enabled = stanza.get("enabled", "yes").lower() not in ("no", "false", "0", "off", "without", "disable")
        if not enabled or "deb" not in stanza.get("types", "").split():
            continue
        components = tuple(stanza.get("components", "").split())
        keyring = _keyring(stanza.get("signed-by", ""))
        found += [
            Source(uri=uri, suite=suite, components=components, signed_by=keyring)
            for uri in stanza.get("uris", "").split()
            for suite in stanza.get("suites", "").split()
        ]
    return found


def _stanzas(text: str) -> Iterator[dict[str, str]]:
    fields: dict[str, str] = {}
    key = ""
    for line in [*text.splitlines(), ""]:
        if line.startswith("#"):
            continue
        if not line.strip():
            if fields:
                yield fields
            fields, key = {}, ""
        elif line[0] in " \t":
            if key:
                fields[key] += "\n" + line.strip()
        elif ":" in line:
            key, value = line.split(":", 1)
            key = key.strip().lower()
            fields[key] = value.strip()


def _keyring(value: str) -> str | None:
    """Return the path of a keyring, or None for key material or fingerprints that stand in the file itself."""
    words = value.split()
    return words[0] if len(words) == 1 and words[0].startswith("/") else None


def _is_official(source: Source) -> bool:
    if not source.components or not _COMPONENTS.issuperset(source.components):
        return False
    try:
        address = urlsplit(source.uri)
    except ValueError:
        return False
    if address.scheme not in ("http", "https") or address.username is not None or not source.uri.isprintable():
        return False
    if source.signed_by is not None:
        return Path(source.signed_by).name.startswith("debian-archive-")
    return address.path.rstrip("/").rsplit("/", 1)[-1] in _ARCHIVES


def _read(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(_MAX_FILE_BYTES)
    except OSError:
        return ""
