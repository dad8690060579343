"""Golden cases of calls: a workflow ``ci.yml``, the files that it calls, and what linking makes of them.

Beside ``ci.yml`` stand the files of its own repository; those of another one are below ``owner/name@ref``. What nobody
placed there does not exist. ``expected`` holds the diagnostics as people see them, then who calls what.
"""

from pathlib import Path
from typing import Final

import pytest

from terraphim_runner.workflow import parse
from terraphim_runner.workflow.linking import CalledFile, FileReference, Linked, Linker
from terraphim_runner.workflow.lint import lint
from terraphim_runner.workflow.lint.unset_output import ID as UNSET_OUTPUT

GOLDEN: Final = Path(__file__).parent / "calls"
CASES: Final = sorted(path.parent for path in GOLDEN.glob("*/ci.yml"))
FOLDER: Final = ".github/workflows"


def linked(case: Path) -> Linked:
    result = parse(f"{FOLDER}/ci.yml", (case / "ci.yml").read_text())
    assert result.workflow is not None, result.diagnostics
    asked: list[FileReference] = []

    def read(reference: FileReference) -> CalledFile:
        assert reference not in asked, "a file was asked for twice"
        asked.append(reference)
        folder = case if reference.repository is None else case / f"{reference.repository}@{reference.ref}"
        path = folder / Path(reference.path).name
        if not path.is_file():
            known = tuple(f"{FOLDER}/{item.name}" for item in sorted(folder.glob("*.yml")))
            return CalledFile(error="there is no such file", known=known)
        sha = None if reference.repository is None else "1" * 40
        return CalledFile(text=path.read_text(), sha=sha)

    return Linker(result.workflow).follow(read)


def tree(workflow, depth=0):
    for key, called in workflow.calls.items():
        origin = f" of {called.origin.repository} at {called.origin.ref}" if called.origin is not None else ""
        yield f"{'  ' * depth}{key} calls {called.path}{origin}"
        yield from tree(called, depth + 1)


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_golden_call_yields_exactly_the_expected_diagnostics_and_tree(case: Path) -> None:
    found = linked(case)
    lines = [item.render(found.source_of(item)) for item in found.diagnostics]
    lines += [item.render(found.workflow.source) for item in lint(found.workflow) if item.rule == UNSET_OUTPUT]
    assert not found.missing
    assert found.has_errors != case.name.startswith("valid_")
    if not found.has_errors:
        lines += tree(found.workflow)
    assert "\n".join(lines) + "\n" == (case / "expected").read_text()


def test_golden_calls_have_an_expectation_each() -> None:
    assert len(CASES) >= 20
    assert set(CASES) == {path.parent for path in GOLDEN.glob("*/expected")}
