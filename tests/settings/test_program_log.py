"""The program's own log."""

import json
import logging
from collections.abc import Iterator

import pytest

from terraphim_runner.program_log import set_up_logging


@pytest.fixture(autouse=True)
def loggers() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


def test_message_with_control_characters_neither_steers_a_terminal_nor_passes_for_a_record(
    capsys: pytest.CaptureFixture[str],
) -> None:
    set_up_logging(json_lines=False, level="info")
    logging.getLogger("x").info("a \x1b[31m\x9b2J\r%s", "b\n2026-01-01T00:00:00Z [info] forged")
    told = capsys.readouterr()
    assert told.out == ""
    assert not set("\x1b\x9b\r") & set(told.err)
    assert "\n2026-01-01" not in told.err


def test_exception_with_control_characters_does_not_steer_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging(json_lines=False, level="info")
    logging.getLogger("x").error("broke", exc_info=ValueError("\x1b[31m"))
    told = capsys.readouterr().err
    assert "ValueError: ?[31m" in told
    assert "\x1b" not in told


def test_record_as_json_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging(json_lines=True, level="info")
    logging.getLogger("x").warning("a\nb\x1b")
    (line,) = capsys.readouterr().err.splitlines()
    found = json.loads(line)
    assert (found["event"], found["level"], found["logger"]) == ("a\nb\x1b", "warning", "x")
