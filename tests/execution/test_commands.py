import pytest
from hypothesis import given
from hypothesis import strategies as st

from terraphim_runner.execution.commands import WorkflowCommand, is_resume, parse_command


@pytest.mark.parametrize(
    ("line", "name", "data", "properties"),
    [
        ("::warning::text", "warning", "text", {}),
        ("  ::warning::indented", "warning", "indented", {}),
        ("::WARNING::any case", "warning", "any case", {}),
        ("::error file=a.py,line=3,endLine=4::bad", "error", "bad", {"file": "a.py", "line": "3", "endline": "4"}),
        ("::error file=a%2Cb%3Ac::x", "error", "x", {"file": "a,b:c"}),
        ("::debug::50%25 done%0Anext", "debug", "50% done\nnext", {}),
        ("::debug::%250A", "debug", "%0A", {}),
        ("::set-output name=a::b::c", "set-output", "b::c", {"name": "a"}),
        ("::group::", "group", "", {}),
        ("##[group]Title", "group", "Title", {}),
        ("##[error]bad%5D", "error", "bad]", {}),
        ("##[set-output name=x;]value", "set-output", "value", {"name": "x"}),
    ],
)
def test_parse_command_on_a_command_gives_its_parts(line, name, data, properties):
    assert parse_command(line) == WorkflowCommand(name=name, data=data, properties=properties)


@pytest.mark.parametrize(
    "line", ["", "text", ": :warning::x", "::unknown::x", "::warning", "a ::warning::x", "##[x", "::::"]
)
def test_parse_command_on_ordinary_output_gives_none(line):
    assert parse_command(line) is None


@given(st.text())
def test_parse_command_on_any_text_never_raises(text):
    parse_command(text)
    parse_command("::warning " + text)


@pytest.mark.parametrize("line", ["::Token::", "  ::token::", "::token::anything", "::token a=b::", "##[token]"])
def test_is_resume_of_a_command_that_is_named_by_the_token_is_true(line):
    assert is_resume(line, "token")


@pytest.mark.parametrize("line", ["::other::", "::token", "::tokens::", "x ::token::", "##[other]", "", "token"])
def test_is_resume_of_any_other_line_is_false(line):
    assert not is_resume(line, "token")
