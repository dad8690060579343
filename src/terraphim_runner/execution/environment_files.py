"""The files through which a step speaks to the runner: ``GITHUB_ENV``, ``GITHUB_OUTPUT``, ``GITHUB_PATH`` …

Documentation: "Workflow commands for GitHub Actions", section "Environment files". Parsing only.
"""

from collections.abc import Iterator
from enum import StrEnum

FORBIDDEN_IN_ENV = "NODE_OPTIONS"
"""The variable that no step may set for those after it: it would change how actions are run."""


class FileCommand(StrEnum):
    """Each file's name, as in the message when it cannot be read."""

    ENV = "env"
    OUTPUT = "output"
    STATE = "state"
    PATH = "path"
    SUMMARY = "step_summary"

    @property
    def variable(self) -> str:
        """The variable that tells the step where the file is."""
        return f"GITHUB_{self.value.upper()}"


class FileCommandError(Exception):
    """A step wrote something that is not in the file's format. The step fails with this text."""


def decode(content: bytes, command: FileCommand) -> str:
    """Return the file's text; a byte-order mark is dropped. Raises ``FileCommandError`` for what is not UTF-8."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileCommandError(
            f"unable to process file command '{command}': found bytes that are not UTF-8 at offset {error.start}"
        ) from None


def parse_pairs(text: str, command: FileCommand) -> Iterator[tuple[str, str]]:
    """Yield the ``NAME=value`` and ``NAME<<DELIMITER`` entries in their order; of one name the last is meant.

    Blank lines between entries are skipped; inside a block every line belongs to the value, which has no
    line feed at its end. Raises ``FileCommandError`` at the first bad entry: those before it count, as with
    actions/runner.
    """
    # Only a line feed ends a line here: actions/runner on Linux keeps a carriage return as part of the value.
    lines = text.split("\n")
    index = 0
    while index < len(lines):
        line = lines[index]
        index += 1
        if not line:
            continue
        equals, heredoc = line.find("="), line.find("<<")
        if equals >= 0 and (heredoc < 0 or equals < heredoc):
            name, value = line[:equals], line[equals + 1 :]
        elif heredoc >= 0:
            name, delimiter = line[:heredoc], line[heredoc + 2 :]
            if not delimiter:
                raise FileCommandError(_message(command, f"found {line!r} without a delimiter after '<<'"))
            value, index = _block(lines, index, delimiter, command)
        else:
            raise FileCommandError(_message(command, f"found {line!r}, expected NAME=value or NAME<<DELIMITER"))
        if not name:
            raise FileCommandError(_message(command, f"found {line!r} without a name"))
        yield name, value


def parse_paths(text: str) -> list[str]:
    """Return the directories of a ``GITHUB_PATH`` file in their order; blank lines are skipped."""
    return [line for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n") if line.strip()]


def _block(lines: list[str], index: int, delimiter: str, command: FileCommand) -> tuple[str, int]:
    for end in range(index, len(lines)):
        if lines[end] == delimiter:
            return "\n".join(lines[index:end]), end + 1
    raise FileCommandError(_message(command, f"found no line {delimiter!r} that ends the value, expected one"))


def _message(command: FileCommand, what: str) -> str:
    return f"unable to process file command '{command}' successfully: {what}"
