"""Golden pairs: a workflow file and everything that is wrong with it."""

from pathlib import Path

import pytest

from terraphim_runner.workflow import parse

CASES = sorted(Path(__file__).parent.glob("golden/*.yml"))


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_parse_golden_file_yields_exactly_the_expected_diagnostics(case: Path) -> None:
    text = case.read_text()
    result = parse(case.name, text)
    rendered = "\n".join(item.render(text) for item in result.diagnostics) or "no problems"
    assert rendered + "\n" == case.with_suffix(".expected").read_text()
    has_errors = any(item.severity == "error" for item in result.diagnostics)
    assert (result.workflow is None) == has_errors
    places = [item.span.start for item in result.diagnostics]
    assert places == sorted(places)


def test_golden_directory_has_a_pair_for_every_case() -> None:
    assert len(CASES) > 30
    assert {path.stem for path in CASES} == {path.stem for path in CASES[0].parent.glob("*.expected")}
