"""Files that are made to cost: each has an answer whose size is bounded, whatever the file's is."""

from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terraphim_runner.expressions import ANYTHING, mistakes
from terraphim_runner.model.source import Diagnostic, Severity
from terraphim_runner.workflow import parse
from terraphim_runner.workflow.encoding import decode
from terraphim_runner.workflow.findings import MAX_SHOWN
from terraphim_runner.workflow.lint import lint

KIB: Final = 1024
NEAR_MIB: Final = 1000 * KIB
GOOD: Final = "on: push\njobs: {a: {runs-on: x, steps: [{run: echo}]}}\n"
STEPS: Final = "on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n"
MAX_RENDERED: Final = 200 * KIB


def rendered(text: str) -> tuple[list[Diagnostic], str]:
    """Return what is found in a file, and all of it as people see it."""
    found = parse("w.yml", text, check_support=False).diagnostics
    return list(found), "\n".join(item.render(text) for item in found)


@pytest.mark.parametrize(
    "text",
    [
        GOOD + "env: {A: '" + "x" * NEAR_MIB + "'}\n",
        GOOD + "name: " + "x " * (NEAR_MIB // 2),
        GOOD + "# " + "x" * NEAR_MIB,
        GOOD + "\n" * NEAR_MIB,
        GOOD + " " * NEAR_MIB,
        GOOD + "env: {A: " + "9" * NEAR_MIB + "}\n",
        GOOD + "env: {A: 0x" + "f" * NEAR_MIB + "}\n",
        GOOD + "env:\n" + "".join(f"  K{number}: 1\n" for number in range(24_000)),
        GOOD + "description: >\n" + "  a\n\n" * 150_000,
        STEPS + "      - run: |\n" + "          echo a line of text\n" * 34_000,
        STEPS + "      - uses: actions/checkout@v4\n" * 12_000,
        STEPS + "      - uses: '" + "a" * 39 + "/" + "b/" * 400_000 + "c@v1'\n",
        "on: push\njobs: {a: {runs-on: [x" + ",x" * 49_000 + "], steps: [{run: echo}]}}\n",
        "on: push\njobs: {a: {runs-on: [" + ",".join(f"&a{n} x" for n in range(40_000)) + "], steps: [{run: e}]}}\n",
        GOOD.replace("runs-on: x", "runs-on: x, strategy: {matrix: {a: " + "[" * 55 + "1" + "]" * 55 + "}}"),
    ],
    ids=lambda text: f"{text[-60:-20]!r}",
)
def test_parse_large_legal_file_is_a_workflow(text: str) -> None:
    result = parse("w.yml", text, check_support=False)
    assert [item for item in result.diagnostics if item.severity is Severity.ERROR] == []
    assert result.workflow is not None


@pytest.mark.parametrize(
    "text",
    [
        GOOD + "".join(f"k{number}: 1\n" for number in range(24_000)),
        GOOD + "env:\n" + "  k: 1\n" * 24_000,
        "on: push\njobs:\n" + "".join(f"  j{number}: {{}}\n" for number in range(24_000)),
        "on: push\njobs: {" + ", ".join(f"j{number}: []" for number in range(15_000)) + "}",
        "on: [" + ",".join(f"pusj{number}" for number in range(40_000)) + "]\njobs: {}",
        GOOD + "permissions: {" + ",".join(f"issuez{number}: read" for number in range(20_000)) + "}\n",
        GOOD + "env: {A: '" + "x" * 900 * KIB + "', " + ", ".join(f"B{number}: []" for number in range(5000)) + "}\n",
        "on: push\n" + "\n" * 900 * KIB + "jobs: {" + ", ".join(f"{number}: []" for number in range(5000)) + "}\n",
        STEPS + "      - run: ${{ nope.a }}\n" * 10_000,
        STEPS + "".join(f"      - run: ${{{{ nope{number}.a }}}}\n" for number in range(10_000)),
        STEPS + "      - run: |\n" + "          ${{ nope.a }}\n" * 30_000,
        "on: push\njobs:\n"
        + "".join(
            f"  j{number}: {{needs: [{','.join(f'j{other}' for other in range(200))}], runs-on: x, steps: [run: e]}}\n"
            for number in range(200)
        ),
        "on: push\njobs: {a: {runs-on: [" + ",".join(f"&a{n} x" for n in range(40_000)) + ", *none], steps: []}}\n",
        GOOD + "k" * 900 * KIB + ": 1\n",
        GOOD + "env: {A: '" + "${{ " * 200_000 + "'}\n",
        GOOD + "env: {A: '${{ " + "(" * 500_000 + " }}'}\n",
        GOOD + "env: {A: '${{ " + "!" * 20_000 + "1 }}'}\n",
        "? " * 400_000,
        "- " * 400_000,
        "[" * NEAR_MIB,
        "{" * NEAR_MIB,
        ":" * NEAR_MIB,
        '"' * NEAR_MIB,
        "\t" * NEAR_MIB,
        "\x00" * NEAR_MIB,
        "*a " * 300_000,
        "%a b\n" * 200_000,
        "---\n" * 200_000,
        "\u2028" * 300_000,
    ],
    ids=lambda text: f"{text[-60:-20]!r}",
)
def test_parse_file_of_many_mistakes_says_a_bounded_number_of_characters(text: str) -> None:
    found, shown = rendered(text)
    assert any(item.severity is Severity.ERROR for item in found)
    assert len(found) <= MAX_SHOWN + 1
    assert len(shown) <= MAX_RENDERED
    assert all(len(item.message) < 2000 for item in found)


@pytest.mark.parametrize(
    "text",
    [
        GOOD + "".join(f"env{number}: 1\n" for number in range(500)),
        GOOD + "permissions: {" + ",".join(f"issues{number}: read" for number in range(500)) + "}\n",
        STEPS + "      - {run: e, id: target}\n" + "".join(f"      - wait: target{n}\n" for n in range(500)),
        "on: push\njobs:\n"
        + "".join(f"  job{n}: {{needs: jbo{n}, runs-on: x, steps: [run: e]}}\n" for n in range(150)),
    ],
    ids=["keys", "permissions", "steps", "jobs"],
)
def test_parse_many_mistakes_get_a_near_name_among_the_first_only(text: str) -> None:
    helped = [item for item in rendered(text)[0] if "did you mean" in item.message]
    assert 1 <= len(helped) <= 50


def test_mistakes_of_a_text_with_thousands_are_the_first_hundred() -> None:
    found = mistakes("${{ nope }} " * 5000, allowed=ANYTHING)
    assert [item.offset for item in found] == [12 * number + 4 for number in range(100)]


def test_parse_wrong_target_among_thousands_of_ids_gets_no_near_name() -> None:
    ids = "".join(f"      - {{run: e, id: target{number}, background: true}}\n" for number in range(1000))
    (found,) = rendered(STEPS + ids + "      - wait: targets1\n")[0]
    assert (found.rule, "did you mean" in found.message) == ("step-target", False)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (GOOD.encode("utf-16"), "it is UTF-16 or UTF-32, expected UTF-8"),
        (b"\xfe\xff" + GOOD.encode("utf-16-be"), "it is UTF-16 or UTF-32, expected UTF-8"),
        (GOOD.encode("utf-32"), "it is UTF-16 or UTF-32, expected UTF-8"),
        (b"on: push\nname: \xff", "byte 16 is not UTF-8"),
        (b"name: \xed\xa0\x80", "byte 7 is not UTF-8"),
        (b"name: \xc0\xaf", "byte 7 is not UTF-8"),
        (b"\xff" * (KIB * KIB), "byte 1 is not UTF-8"),
        (b"#" * (KIB * KIB + 1), "it is larger than 1024 KiB"),
    ],
)
def test_decode_bytes_that_are_no_text_is_a_diagnostic(content: bytes, reason: str) -> None:
    found = decode("w.yml", content)
    assert isinstance(found, Diagnostic)
    assert found.message == f"the file cannot be read: {reason}"


def test_lint_of_a_name_that_is_a_megabyte_long_cuts_it() -> None:
    text = STEPS + "      - uses: " + "a" * 39 + "/" + "b/" * 400_000 + "c@v1\n"
    workflow = parse("w.yml", text, check_support=False).workflow
    assert workflow is not None
    found = lint(workflow)
    assert {item.rule for item in found} == {"missing-timeout", "unpinned-action"}
    assert all(len(item.message) <= 1000 and len(item.fix or "") <= 1000 for item in found)


@given(st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_decode_and_parse_of_any_bytes_never_raise(content: bytes) -> None:
    text = decode("w.yml", content)
    if isinstance(text, str):
        result = parse("w.yml", text)
        assert (result.workflow is None) == any(item.severity is Severity.ERROR for item in result.diagnostics)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le"])
def test_parse_utf_16_without_a_mark_is_refused_for_its_zero_characters(encoding: str) -> None:
    text = decode("w.yml", GOOD.encode(encoding))
    assert isinstance(text, str)
    (found,) = parse("w.yml", text).diagnostics
    assert found.message.startswith(r"found the control character '\x00'")


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r", "\x85", "\u2028", "\u2029"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_parse_any_line_end_and_byte_order_mark_give_the_same_workflow(line_end: str, mark: str) -> None:
    text = decode("w.yml", (mark + GOOD.replace("\n", line_end)).encode())
    assert isinstance(text, str)
    workflow = parse("w.yml", text).workflow
    assert workflow is not None
    assert list(workflow.jobs) == ["a"]
