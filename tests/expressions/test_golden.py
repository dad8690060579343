"""The language, rule by rule: each line of ``golden.jsonl`` is an expression, its contexts and what must come of it.

``error`` is a part of the message that must come instead of a value.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from terraphim_runner.cli.eval import evaluate_line

KINDS = {
    type(None): "null",
    bool: "boolean",
    int: "number",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}
CASES = [json.loads(line) for line in (Path(__file__).parent / "golden.jsonl").read_text("utf-8").split("\n") if line]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['rule']}: {case['expr']}")
def test_expression_of_the_golden_table_has_its_outcome(case: dict[str, Any]) -> None:
    request = {"expr": case["expr"], "context": case.get("context")}
    answer = evaluate_line(json.dumps(request).encode())
    if "error" in case:
        assert case["error"] in answer.get("error", answer)
    else:
        kind = case.get("kind", KINDS[type(case["result"])])
        assert answer == {"result": case["result"], "kind": kind}
