"""Golden pairs: expressions, texts with expressions and conditions, each with what must come of it.

A case is a YAML file with ``contexts``, ``files`` of the workspace, and lists of ``expressions``, ``templates`` and
``conditions``; an entry is a text, or a ``text`` with ``contexts`` of its own. The ``.expected`` file has a line for
each: the text, an arrow, and the value as JSON with its kind, or the mistakes with their columns, counted in
characters of the whole text.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from terraphim_runner.cli.eval import evaluate_text
from terraphim_runner.expressions import (
    ANYTHING,
    Availability,
    EvaluationError,
    ExpressionError,
    Scope,
    evaluate,
    from_json,
    is_truthy,
    kind,
    mistakes,
    parse,
    parse_condition,
    parse_template,
    resolve,
    to_json,
    to_string,
)
from terraphim_runner.model.source import Span

GOLDEN = Path(__file__).parent / "expressions"
CASES = sorted(GOLDEN.glob("*.yml"))
SECTIONS = ("expressions", "templates", "conditions")


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_expressions_of_a_golden_file_have_exactly_the_expected_outcomes(case: Path, tmp_path: Path) -> None:
    document = yaml.safe_load(case.read_text("utf-8"))
    assert document.keys() <= {"contexts", "files", *SECTIONS}
    for name, content in document.get("files", {}).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    contexts = document.get("contexts", {})
    if "files" in document:
        contexts = contexts | {"github": {"workspace": str(tmp_path)}}
    outcomes = [
        f"{written(text)} → {outcome(section, text, contexts | own)}"
        for section in SECTIONS
        for text, own in entries(document.get(section, []))
    ]
    assert outcomes == case.with_suffix(".expected").read_text("utf-8").removesuffix("\n").split("\n")


def test_expressions_golden_directory_has_a_pair_for_every_case() -> None:
    assert len(CASES) > 20
    assert {path.stem for path in CASES} == {path.stem for path in GOLDEN.glob("*.expected")}


def entries(section: list[Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for entry in section:
        yield (entry, {}) if isinstance(entry, str) else (entry["text"], entry["contexts"])


def outcome(section: str, text: str, contexts: dict[str, Any]) -> str:
    allowed = Availability(
        contexts=frozenset({*ANYTHING.contexts, *contexts}),
        functions=ANYTHING.functions,
        where=ANYTHING.where,
        status_arguments=ANYTHING.status_arguments,
    )
    try:
        if section == "conditions":
            return f"{str(holds(text, contexts, allowed)).lower()} (condition)"
        if section == "templates":
            scope = Scope(contexts={name: from_json(value) for name, value in contexts.items()})
            value = resolve(parse_template(text, allowed=allowed, span=Span.at(1, 1)), scope)
        else:
            parse(text, allowed=allowed)
            value = evaluate_text(text, contexts)
    except ExpressionError as error:
        found = mistakes(text, allowed=allowed) if section == "templates" else (error,)
        return " | ".join(f"error at column {item.offset + 1}: {item.message}" for item in found)
    except EvaluationError as error:
        return f"fails: {error.message}"
    shown = to_string(value) if kind(value) == "number" and value - value != 0 else written(to_json(value), quoted=True)
    return f"{shown} ({kind(value)})"


def holds(text: str, contexts: dict[str, Any], allowed: Availability) -> bool:
    status = contexts.get("job", {}).get("status", "success")
    functions = {name: lambda _, name=name: name == status for name in ("success", "failure", "cancelled")}
    scope = Scope(
        contexts={name: from_json(value) for name, value in contexts.items()},
        functions={**functions, "always": lambda _: True},
    )
    return is_truthy(evaluate(parse_condition(text, allowed=allowed), scope))


def written(value: object, *, quoted: bool = False) -> str:
    """Return a value as JSON on one line; a text that fits on one as it is, unless it has to be ``quoted``."""
    if isinstance(value, str) and value.isprintable() and not quoted:
        return value
    text = json.dumps(value, ensure_ascii=False)
    return text if text.isprintable() else json.dumps(value)
