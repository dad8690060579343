"""Golden pairs: a workflow file, and everything that the parser finds in it as people see it.

Each topic is a folder. They are about the language alone, but for ``support``: what this runner does not carry out.
"""

from pathlib import Path
from typing import Final

import pytest

from terraphim_runner.workflow import parse

GOLDEN: Final = Path(__file__).parent
TOPICS: Final = ("availability", "jobs", "steps", "support", "workflow", "yaml")
CASES: Final = sorted(path for topic in TOPICS for path in (GOLDEN / topic).glob("*.yml"))


@pytest.mark.parametrize("case", CASES, ids=lambda path: str(path.relative_to(GOLDEN).with_suffix("")))
def test_golden_file_yields_exactly_the_expected_diagnostics(case: Path) -> None:
    text = case.read_bytes().decode()
    result = parse(case.name, text, check_support=case.parent.name == "support")
    rendered = "\n".join(item.render(text) for item in result.diagnostics) or "no problems"
    assert rendered + "\n" == case.with_suffix(".expected").read_text()
    has_errors = any(item.severity == "error" for item in result.diagnostics)
    assert (result.workflow is None) == has_errors
    assert has_errors != case.name.startswith("valid_")
    places = [item.span.start for item in result.diagnostics]
    assert places == sorted(places)


@pytest.mark.parametrize("topic", TOPICS)
def test_golden_topic_has_a_pair_for_every_case(topic: str) -> None:
    cases = {path.stem for path in CASES if path.parent.name == topic}
    assert cases
    assert cases == {path.stem for path in (GOLDEN / topic).glob("*.expected")}
