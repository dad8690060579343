"""Golden pairs: an action's metadata and everything that is wrong with it."""

from pathlib import Path

import pytest

from terraphim_runner.model.source import Severity
from terraphim_runner.workflow.metadata import parse_action

GOLDEN = Path(__file__).parent / "actions"
CASES = sorted(GOLDEN.glob("*.yml"))


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_action_golden_file_yields_exactly_the_expected_diagnostics(case: Path) -> None:
    text = case.read_text()
    result = parse_action(case.name, text)
    rendered = "\n".join(item.render(text) for item in result.diagnostics) or "no problems"
    assert rendered + "\n" == case.with_suffix(".expected").read_text()
    assert (result.action is None) == any(item.severity is Severity.ERROR for item in result.diagnostics)
    places = [item.span.start for item in result.diagnostics]
    assert places == sorted(places)


def test_action_golden_directory_has_a_pair_for_every_case() -> None:
    assert len(CASES) > 40
    assert {path.stem for path in CASES} == {path.stem for path in GOLDEN.glob("*.expected")}
