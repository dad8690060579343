"""The program's own log: short lines for people, or JSON lines for machines."""

import io
import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Final, TextIO

import structlog
from structlog.typing import ExcInfo

from terraphim_runner.model.text import printable

# They say at "info" what only their own developers want to know.
_QUIET: Final = ("httpx", "httpcore", "asyncio", "uvicorn", "uvicorn.error", "sqlalchemy", "alembic")


def set_up_logging(*, json_lines: bool, level: str) -> None:
    """Send every logger's records to stderr in one form. No trace shows local variables, for they may hold secrets."""
    timestamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
    shared: list[Any] = [structlog.stdlib.add_log_level, timestamp]
    if json_lines:
        shared.append(structlog.stdlib.add_logger_name)
        final: list[Any] = [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ]
    else:
        final = [
            _printable,
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=_printable_traceback, pad_event_to=0
            ),
        ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def _printable(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    # What a stranger sent may be in a message; it must not steer the reader's terminal.
    event["event"] = _shown(str(event.get("event", "")))
    return event


def _printable_traceback(out: TextIO, trace: ExcInfo) -> None:
    text = io.StringIO()
    structlog.dev.plain_traceback(text, trace)
    out.write(_shown(text.getvalue()))


def _shown(text: str) -> str:
    # A further line is indented, so that it cannot pass for a record of its own.
    return printable(text, keep="\n").replace("\n", "\n    ")
