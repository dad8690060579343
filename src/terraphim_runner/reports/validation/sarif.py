"""For code scanning: SARIF 2.1.0, one run with the rules that were broken.

Source: OASIS, "Static Analysis Results Interchange Format (SARIF) Version 2.1.0". Columns count UTF-16 units unless
told otherwise; ours are characters, so the document says so.
"""

import json
from pathlib import PurePath
from typing import Any, Final
from urllib.parse import quote

from terraphim_runner.model.source import Diagnostic, Severity, Span
from terraphim_runner.reports.validation.checked import Validation

_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"


def render_sarif(validation: Validation) -> str:
    """Return the document as JSON."""
    found = list(validation.diagnostics())
    ids = sorted({item.rule for item in found})
    summaries = {rule.id: rule.summary for rule in validation.rules}
    run = {
        "tool": {
            "driver": {
                "name": "terraphim-runner validate",
                "rules": [_rule(name, summaries.get(name)) for name in ids],
            }
        },
        "columnKind": "unicodeCodePoints",
        "results": [_result(item, ids.index(item.rule)) for item in found],
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2)


def _rule(name: str, summary: str | None) -> dict[str, Any]:
    rule: dict[str, Any] = {"id": name}
    if summary is not None:
        rule["shortDescription"] = {"text": summary}
    return rule


def _result(item: Diagnostic, rule_index: int) -> dict[str, Any]:
    text = item.message if item.fix is None else f"{item.message}; fix: {item.fix}"
    result: dict[str, Any] = {
        "ruleId": item.rule,
        "ruleIndex": rule_index,
        "level": "error" if item.severity is Severity.ERROR else "warning",
        "message": {"text": text},
        "locations": [_location(item.path, item.span)],
    }
    if item.related:
        result["relatedLocations"] = [
            {**_location(other.path or item.path, other.span), "message": {"text": other.message}}
            for other in item.related
        ]
    return result


def _location(path: str, span: Span) -> dict[str, Any]:
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": _uri(path)},
            "region": {
                "startLine": span.start.line,
                "startColumn": span.start.column,
                "endLine": span.end.line,
                "endColumn": span.end.column,
            },
        }
    }


def _uri(path: str) -> str:
    """Return a reference relative to where the command was run; of an absolute path, a ``file:`` address."""
    pure = PurePath(path)
    encoded = quote(pure.as_posix(), errors="surrogateescape")
    return f"file://{encoded}" if pure.is_absolute() else encoded
