"""For programs: one JSON object with everything that is known of each diagnostic."""

import json
from typing import Any

from terraphim_runner.model.source import Span
from terraphim_runner.reports.validation.checked import Validation


def render_json(validation: Validation) -> str:
    """Return ``valid``, ``files`` and ``diagnostics``; lines and columns count from 1, ``end`` is exclusive."""
    document = {
        "valid": validation.is_valid,
        "files": [file.path for file in validation.files],
        "diagnostics": [
            {
                "path": item.path,
                "span": _span(item.span),
                "severity": item.severity.value,
                "rule": item.rule,
                "message": item.message,
                "fix": item.fix,
                "related": [
                    {"path": other.path or item.path, "message": other.message, "span": _span(other.span)}
                    for other in item.related
                ],
            }
            for item in validation.diagnostics()
        ],
    }
    return json.dumps(document, indent=2)


def _span(span: Span) -> dict[str, Any]:
    return {
        name: {"line": place.line, "column": place.column} for name, place in (("start", span.start), ("end", span.end))
    }
