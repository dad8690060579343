"""The diagnostics of one file while it is read."""

from typing import Final

from terraphim_runner.model.source import Diagnostic, Related, Severity, Span
from terraphim_runner.workflow.nodes import Node, Scalar
from terraphim_runner.workflow.text import SourceText

MAX_SHOWN: Final = 100
"""More diagnostics than this help nobody; the rest is counted."""

MAX_FOUND: Final = 1000
"""A file with as many problems is not read to its end."""

_MAX_HELPED: Final = 50
"""How many problems get a search for what was meant: it costs more than all else that a problem costs."""


class TooManyError(Exception):
    """``MAX_FOUND`` problems were noted; the file has to be given up."""


class Findings:
    """Collects what is wrong with one file and hands it out in the file's order.

    ``error`` and ``warning`` raise ``TooManyError`` with the ``MAX_FOUND``th problem, which makes the file invalid.
    """

    def __init__(self, path: str, source: SourceText, *, document: str = "a workflow") -> None:
        self.path = path
        self.source = source
        self.document = document
        """What the file should hold, with its article."""
        self.kind = document.partition(" ")[2]
        """The same without the article."""
        self._found: list[Diagnostic] = []
        self.has_errors = False

    @property
    def is_helping(self) -> bool:
        """Whether the next problem deserves a search for what was meant; not so after many."""
        return len(self._found) < _MAX_HELPED

    def error(
        self, place: Node | Span, rule: str, message: str, *, fix: str | None = None, related: tuple[Related, ...] = ()
    ) -> None:
        """Note a mistake that keeps the workflow from running."""
        self._add(Severity.ERROR, place, rule, message, fix, related)

    def warning(self, place: Node | Span, rule: str, message: str, *, fix: str | None = None) -> None:
        """Note what is legal and hardly meant."""
        self._add(Severity.WARNING, place, rule, message, fix, ())

    def in_order(self) -> tuple[Diagnostic, ...]:
        """Return the diagnostics in the order of their places, each once, at most ``MAX_SHOWN`` and a count."""
        if not self._found:
            return ()
        # An alias brings its anchor's mistakes along each time: the place and the words are the same then.
        unique = {(item.span, item.rule, item.message): item for item in self._found}.values()
        ordered = sorted(unique, key=lambda item: (item.severity is Severity.WARNING, item.span.start))
        shown = sorted(ordered[:MAX_SHOWN], key=lambda item: item.span.start)
        if len(ordered) > MAX_SHOWN:
            at_least = "at least " if len(self._found) >= MAX_FOUND else ""
            message = f"{at_least}{len(ordered) - MAX_SHOWN} more problems are not shown"
            severity = Severity.ERROR if self.has_errors else Severity.WARNING
            rest = Diagnostic(
                path=self.path, span=shown[-1].span, rule="too-many-problems", message=message, severity=severity
            )
            shown.append(rest)
        return tuple(shown)

    def _add(
        self,
        severity: Severity,
        place: Node | Span,
        rule: str,
        message: str,
        fix: str | None,
        related: tuple[Related, ...],
    ) -> None:
        span = place if isinstance(place, Span) else self.source.of(place)
        is_last = len(self._found) + 1 >= MAX_FOUND
        self.has_errors = self.has_errors or is_last or severity is Severity.ERROR
        self._found.append(
            Diagnostic(
                path=self.path,
                span=span,
                rule=rule,
                message=message,
                fix=fix,
                related=related,
                severity=severity,
            )
        )
        if is_last:
            raise TooManyError


def shown(value: object) -> str:
    """Return the user's value by ``repr``, cut to a length that a line of text bears."""
    text = value.text if isinstance(value, Scalar) else str(value)
    return repr(text if len(text) <= 60 else text[:57] + "...")
