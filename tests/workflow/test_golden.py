"""Golden pairs: a workflow file and everything that is wrong with it.

Those in ``language`` are about the language alone, whether this runner carries it out or not.
"""

from pathlib import Path

import pytest

from terraphim_runner.workflow import parse

GOLDEN = Path(__file__).parent / "golden"
CASES = sorted(GOLDEN.glob("**/*.yml"))


@pytest.mark.parametrize("case", CASES, ids=lambda path: str(path.relative_to(GOLDEN).with_suffix("")))
def test_parse_golden_file_yields_exactly_the_expected_diagnostics(case: Path) -> None:
    text = case.read_text()
    result = parse(case.name, text, check_support=case.parent == GOLDEN)
    rendered = "\n".join(item.render(text) for item in result.diagnostics) or "no problems"
    assert rendered + "\n" == case.with_suffix(".expected").read_text()
    has_errors = any(item.severity == "error" for item in result.diagnostics)
    assert (result.workflow is None) == has_errors
    places = [item.span.start for item in result.diagnostics]
    assert places == sorted(places)


def test_golden_directory_has_a_pair_for_every_case() -> None:
    assert len(CASES) > 30
    assert {path.with_suffix("") for path in CASES} == {path.with_suffix("") for path in GOLDEN.glob("**/*.expected")}
