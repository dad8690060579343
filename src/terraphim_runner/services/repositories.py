"""Secrets and variables of repositories, from a TOML file that nobody else may read.

[repositories."owner/name".secrets]
TOKEN = "…"
[repositories."owner/name".variables]
REGION = "eu"
[repositories."owner/name".environments.production.secrets]
TOKEN = "…"

An environment that is not named here is none that a job may deploy to: what protects it on GitHub is not known here.
"""

import os
import re
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, cast

from terraphim_runner.model.errors import UsageError
from terraphim_runner.model.secret import Secret

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_REPOSITORY: Final = re.compile(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+", re.ASCII)
_SECTIONS: Final = ("secrets", "variables")
_ENVIRONMENTS: Final = "environments"
MAX_FILE_BYTES: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryValues:
    """What one repository's workflows see as ``secrets`` and ``vars``."""

    secrets: Mapping[str, Secret] = field(default_factory=dict[str, Secret])
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    environments: Mapping[str, "RepositoryValues"] = field(default_factory=dict[str, "RepositoryValues"])
    """By their names in lower case; each holds what it adds to the repository's own values."""

    def environment(self, name: str) -> "RepositoryValues | None":
        """Return what an environment adds, which stands above the repository's; None when there is no such one."""
        return self.environments.get(name.lower())


class Repositories:
    """The values of every repository; names compare without case, as on GitHub."""

    def __init__(self, values: Mapping[str, RepositoryValues] | None = None) -> None:
        self._values = {name.lower(): value for name, value in (values or {}).items()}

    def of(self, full_name: str) -> RepositoryValues:
        return self._values.get(full_name.lower(), RepositoryValues())


def read_repositories(path: Path) -> Repositories:
    """Read the file. Raises ``UsageError`` when others may read it, it is not such a file, or a name is not allowed."""
    shown = str(path)
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if stat.S_IMODE(mode) & 0o077:
                raise UsageError(
                    f"repositories_file {shown!r} has the mode {stat.S_IMODE(mode):04o} and holds secrets: "
                    f"others may read it; run chmod 600 {shown}"
                )
            text = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise UsageError(f"repositories_file {shown!r} cannot be read: {error.strerror}") from None
    if len(text) > MAX_FILE_BYTES:
        raise UsageError(f"repositories_file {shown!r} is larger than {MAX_FILE_BYTES} bytes")
    try:
        document = tomllib.loads(text.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        # The position only: a parser's message may quote the line, and the line may hold a secret.
        place = re.search(r"\(at [^)]*\)", str(error))
        raise UsageError(f"repositories_file {shown!r} is not TOML {place[0] if place else ''}".rstrip()) from None
    return Repositories(_repositories(document, shown))


def _repositories(document: dict[str, Any], shown: str) -> dict[str, RepositoryValues]:
    if unknown := sorted(set(document) - {"repositories"}):
        raise UsageError(f'{shown}: found {unknown[0]!r}, expected only tables [repositories."owner/name".secrets]')
    found: dict[str, RepositoryValues] = {}
    for name, sections in _table(document.get("repositories", {}), shown, "repositories").items():
        if not _REPOSITORY.fullmatch(name):
            raise UsageError(f"{shown}: found the repository {name!r}, expected 'owner/name' in quotes")
        table = _table(sections, shown, name)
        environments = _table(table.pop(_ENVIRONMENTS, {}), shown, f"{name} {_ENVIRONMENTS}")
        own = _sections(table, shown, name, "secrets, variables or environments")
        found[name] = replace(
            own,
            environments={
                environment.lower(): _sections(
                    _table(values, shown, f"{name} {environment}"),
                    shown,
                    f"{name} {environment}",
                    "secrets or variables",
                )
                for environment, values in environments.items()
            },
        )
    return found


def _sections(table: dict[str, Any], shown: str, where: str, expected: str) -> RepositoryValues:
    if unknown := sorted(set(table) - set(_SECTIONS)):
        raise UsageError(f"{shown}: found {unknown[0]!r} in {where!r}, expected {expected}")
    secrets = _values(table.get("secrets", {}), shown, f"{where} secrets")
    variables = _values(table.get("variables", {}), shown, f"{where} variables")
    return RepositoryValues(secrets={key: Secret(value) for key, value in secrets.items()}, variables=variables)


def _values(table: object, shown: str, where: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for name, value in _table(table, shown, where).items():
        if not _NAME.fullmatch(name) or name.upper().startswith("GITHUB_"):
            raise UsageError(
                f"{shown}: found the name {name!r} in {where}, expected letters, digits and _, "
                "not beginning with a digit or GITHUB_"
            )
        if not isinstance(value, str):
            raise UsageError(f"{shown}: {name} in {where} is a {type(value).__name__}, expected text in quotes")
        values[name] = value
    return values


def _table(value: object, shown: str, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UsageError(f"{shown}: {where} is a {type(value).__name__}, expected a table")
    return cast("dict[str, Any]", value)
