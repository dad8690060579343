"""What an image consists of: one TOML file per image, checked before anything is built."""

import difflib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from terraphim_runner.model.errors import UsageError

DEFINITIONS = Path(__file__).parent / "definitions"
NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}\Z")

_SUITE = re.compile(r"[a-z0-9][A-Za-z0-9+._-]{0,126}\Z")
# Debian Policy 5.6.7, and the same alphabet for suites and modules: nothing here can be taken for an option.
_Word = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][A-Za-z0-9+._-]{0,126}$")]


class ImageDefinition(BaseModel):
    """One image to build. ``modules`` are kernel modules for the root file system, without what they depend on."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
    description: str = Field(default="", max_length=500)
    suite: _Word
    kernel: _Word = "linux-image-cloud-amd64"
    packages: list[_Word] = Field(max_length=500)
    modules: list[_Word] = Field(default=[], max_length=200)
    size_mib: int = Field(default=4096, ge=512, le=1 << 20)
    """Size of the root file system. The file is sparse: only what is written takes room."""

    def with_suite(self, suite: str) -> "ImageDefinition":
        """Return the same for another Debian suite; raises ``UsageError`` if that is no suite's name."""
        if not _SUITE.fullmatch(suite):
            raise UsageError(f"{suite!r} is not the name of a Debian suite, such as 'bookworm'")
        return self.model_copy(update={"suite": suite})


def parse_definition(text: str, source: str) -> ImageDefinition:
    """Return the definition in ``text``; ``source`` names it in messages.

    Raises ``UsageError`` with every mistake at once; an unknown key is told with the nearest known one.
    """
    try:
        raw: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{source}: not TOML: {error}") from error
    try:
        return ImageDefinition.model_validate(raw)
    except ValidationError as error:
        raise UsageError("\n".join(_explain(source, item) for item in error.errors())) from error


def load_definition(name: str, directory: Path = DEFINITIONS) -> ImageDefinition:
    """Return the definition of that name, or raise ``UsageError`` that lists the names there are."""
    names = definition_names(directory)
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(names)}"
        raise UsageError(f"no image definition is called {name!r}; {hint}")
    path = directory / f"{name}.toml"
    definition = parse_definition(path.read_text(encoding="utf-8"), str(path))
    if definition.name != name:
        raise UsageError(f"{path}: found name = {definition.name!r}, expected {name!r} as the file is called")
    return definition


def definition_names(directory: Path = DEFINITIONS) -> list[str]:
    """Return the names of all definitions, sorted."""
    return sorted(path.stem for path in directory.glob("*.toml"))


def _explain(source: str, item: Mapping[str, Any]) -> str:
    where = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        near = difflib.get_close_matches(where, ImageDefinition.model_fields, n=1)
        known = f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(ImageDefinition.model_fields)}"
        return f"{source}: unknown key {where!r}; {known}"
    if item["type"] == "missing":
        return f"{source}: the key {where!r} is missing"
    return f"{source}: {where}: found {item['input']!r}: {str(item['msg'])[:1].lower()}{str(item['msg'])[1:]}"
