"""GitHub's filter patterns."""

import re
import time
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terraphim_runner.workflow.patterns import MAX_PATTERN_LENGTH, PatternError, compile_pattern, select


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("main", ["main"], ["Main", "main2", "xmain", ""]),
        ("*", ["main", "v2"], ["feature/a", "/"]),
        ("**", ["main", "feature/a/b", "a/"], []),
        ("feature/*", ["feature/a"], ["feature/a/b", "feature", "feature/a/"]),
        ("feature/**", ["feature/a", "feature/a/b"], ["feature", "features/a"]),
        ("*feature", ["feature", "my-feature"], ["a/feature", "feature2"]),
        ("v2*", ["v2", "v2.0", "v2.9"], ["v3", "v2/x"]),
        ("v[12].[0-9]+.[0-9]+", ["v1.10.1", "v2.0.0"], ["v3.0.0", "v1.0", "v1..0"]),
        ("*.jsx?", ["page.js", "page.jsx"], ["page.jsxx", "a/page.js"]),
        ("**.js", ["index.js", "js/index.js", "src/js/app.js"], ["index.jsx"]),
        ("docs/*", ["docs/README.md"], ["docs/a/b.md", "docs"]),
        ("docs/**/*.md", ["docs/README.md", "docs/mona/hello.md", "docs/a/b/c.md"], ["docs/x.txt", "doc.md"]),
        ("**/docs/**", ["docs/x", "dir/docs/x.txt", "space/docs/plan/x"], ["mydocs/x", "docs"]),
        ("**/README.md", ["README.md", "js/README.md", "a/b/README.md"], ["aREADME.md", "README.md/x"]),
        ("**/*src/**", ["a/src/app.js", "my-src/code/js/app.js"], ["srcs/x"]),
        ("**/*-post.md", ["my-post.md", "path/their-post.md"], ["post.md"]),
        ("**/migrate-*.sql", ["migrate-1.sql", "db/migrate-v1.sql", "db/s/migrate-v1.sql"], ["db/xmigrate-1.sql"]),
        ("a**/b", ["a/b", "ax/b", "a/x/b"], ["ab", "b"]),
        ("a?b", ["ab", "b"], ["aab"]),
        ("a+b", ["ab", "aaab"], ["b"]),
        ("a+?b", ["b", "aab"], ["cb"]),
        ("[a-c1-3_]+", ["abc", "a1_3"], ["d", "4", ""]),
        ("[*?]x", ["*x", "?x"], ["ax"]),
        ("\\*\\?\\+\\[\\\\", ["*?+[\\"], ["a?+[\\"]),
        ("!x", ["x"], ["!x"]),
        ("\\!x", ["!x"], ["x"]),
        ("a!b", ["a!b"], ["ab"]),
        ("ä*", ["äö"], ["a"]),
        ("a.c", ["a.c"], ["abc"]),
    ],
)
def test_pattern_matches_as_documented(pattern: str, matching: list[str], others: list[str]) -> None:
    compiled = compile_pattern(pattern)
    assert [name for name in matching if not compiled.matches(name)] == []
    assert [name for name in others if compiled.matches(name)] == []


@pytest.mark.parametrize(
    ("pattern", "offset"),
    [
        ("", 0),
        ("!", 0),
        ("+a", 0),
        ("?", 0),
        ("!?a", 1),
        ("**/+", 3),
        ("a[", 1),
        ("a[]", 1),
        ("[z-a]", 1),
        ("[a-Z]", 1),
        ("[!-~]", 1),
        ("a\\", 1),
        ("x" * (MAX_PATTERN_LENGTH + 1), 0),
    ],
)
def test_pattern_without_meaning_is_refused_with_its_place(pattern: str, offset: int) -> None:
    with pytest.raises(PatternError) as caught:
        compile_pattern(pattern)
    assert caught.value.offset == offset


@pytest.mark.parametrize(
    ("patterns", "name", "chosen"),
    [
        (["releases/**", "!releases/**-alpha"], "releases/10", True),
        (["releases/**", "!releases/**-alpha"], "releases/beta/3-alpha", False),
        (["!releases/**-alpha", "releases/**"], "releases/3-alpha", True),
        (["**", "!docs/**", "docs/keep/**"], "docs/keep/x", True),
        (["**", "!docs/**", "docs/keep/**"], "docs/x", False),
        (["!x"], "y", False),
        ([], "y", False),
    ],
)
def test_select_last_matching_pattern_decides(patterns: list[str], name: str, chosen: bool) -> None:
    assert select(patterns, name) is chosen


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("**a" * 300 + "b", "a" * 4000),
        ("*a" * 500 + "b", "a" * 4000),
        ("a?" * 511 + "b", "a" * 4000),
        ("a+" * 511 + "b", "a" * 4000),
        ("**/" * 300 + "b", "a/" * 2000),
    ],
)
def test_pattern_made_for_backtracking_costs_linear_time(pattern: str, name: str) -> None:
    began = time.perf_counter()
    assert not compile_pattern(pattern).matches(name)
    assert time.perf_counter() - began < 2


def reference(pattern: str, name: str) -> bool:
    """The rules once more, by trying every way: an oracle for short names, each place asked only once."""
    pieces = re.findall(r"(?:(?<=/)|^)\*\*/|\*\*+|\*|\?|\+|\[[^\]]+\]|\\.|[^\\]", pattern)
    units: list[tuple[str, bool, bool]] = []
    for piece in pieces:
        if piece in "?+":
            before, optional, repeats = units[-1]
            units[-1] = (before, optional or piece == "?", repeats or piece == "+")
        else:
            is_star = piece.startswith("*")
            units.append((piece, is_star, is_star))

    @cache
    def fits(unit: int, at: int) -> bool:
        if unit == len(units):
            return at == len(name)
        piece, optional, repeats = units[unit]
        if optional and fits(unit + 1, at):
            return True
        if piece == "**/":
            return any(name[end - 1] == "/" and fits(unit + 1, end) for end in range(at + 1, len(name) + 1))
        if at == len(name) or not takes(piece, name[at]):
            return False
        return fits(unit + 1, at + 1) or (repeats and fits(unit, at + 1))

    return fits(0, 0)


def takes(piece: str, char: str) -> bool:
    if piece == "*":
        return char != "/"
    if piece.startswith("["):
        return char in piece[1:-1]
    return piece.startswith("**") or char == piece[-1]


parts = st.sampled_from(["a", "b", "/", "*", "**", "**/", "?", "+", "[ab]", "\\a", "ab", "/**/"])


@given(st.lists(parts, min_size=1, max_size=7).map("".join), st.text(alphabet="ab/", max_size=8))
@settings(max_examples=600, deadline=None)
def test_pattern_agrees_with_the_reference_translation(pattern: str, name: str) -> None:
    try:
        compiled = compile_pattern(pattern)
    except PatternError:
        return
    assert compiled.matches(name) == reference(pattern, name)


@given(st.text(max_size=20), st.text(max_size=20))
@settings(max_examples=500, deadline=None)
def test_pattern_arbitrary_text_matches_or_is_refused(pattern: str, name: str) -> None:
    try:
        compiled = compile_pattern(pattern)
    except PatternError as caught:
        error = caught
    else:
        compiled.matches(name)
        return
    assert 0 <= error.offset <= len(pattern)
