import json

import pytest

from terraphim_runner.guest.problem_matchers import MatcherError, Watch, read_matchers


def matcher(*patterns, **more):
    return {"owner": "lint", "pattern": list(patterns), **more}


SINGLE = matcher(
    {"regexp": r"^(\S+):(\d+):(\d+): (\w+): (.+) \[(.+)\]$"}
    | {"file": 1, "line": 2, "column": 3, "severity": 4, "message": 5, "code": 6}
)
LOOP = matcher(
    {"regexp": r"^(\S+\.js)$", "file": 1},
    {"regexp": r"^  (\d+):(\d+)  (\w+)  (.*)$", "line": 1, "column": 2, "severity": 3, "message": 4, "loop": True},
)
THREE = matcher(
    {"regexp": r"^start (\w+)$", "code": 1},
    {"regexp": r"^at (\d+)$", "line": 1},
    {"regexp": r"^why (.*)$", "message": 1},
    severity="warning",
)


@pytest.fixture
def watch(tmp_path):
    (tmp_path / "src").mkdir()
    for name in ("a.js", "b.js", "src/c.js"):
        (tmp_path / name).write_text("")
    return lambda *written: Watch(tmp_path, written)


def lines(watch, *texts):
    for text in texts:
        watch.take(["line", text])
    return watch.issues


def test_single_line_pattern_finds_each_problem_with_its_place(watch):
    found = lines(watch(SINGLE), "a.js:3:4: WARNING: bad [x1]", "other", "gone.js:1:2: error: worse [x2]")
    assert found == [
        {"severity": "warning", "message": "bad", "line": "3", "column": "4", "file": "a.js"},
        {"severity": "error", "message": "worse", "line": "1", "column": "2"},
    ]


def test_line_with_colors_matches_without_them(watch):
    assert lines(watch(SINGLE), "\x1b[31ma.js\x1b[0m:3:4: error: \x1b[1mbad\x1b[0m [x]")[0]["message"] == "bad"


def test_severity_that_is_none_is_no_problem_at_all(watch):
    assert lines(watch(SINGLE), "a.js:3:4: hint: bad [x]") == []


def test_loop_takes_the_first_line_for_every_problem_after_it(watch):
    found = lines(watch(LOOP), "a.js", "  1:2  error  one", "  3:4  warning  two", "", "  5:6  error  lost", "b.js")
    assert [(item["file"], item["line"], item["message"]) for item in found] == [
        ("a.js", "1", "one"),
        ("a.js", "3", "two"),
    ]


def test_several_lines_must_follow_one_another(watch):
    found = lines(watch(THREE), "start x", "at 5", "why so", "start y", "between", "at 6", "why not", "why")
    assert found == [{"severity": "warning", "message": "so", "line": "5"}]


def test_file_is_looked_for_beside_the_project_and_within_the_workspace_only(watch, tmp_path):
    pattern = {"regexp": r"^(\S+) in (\S+): (.*)$", "file": 1, "fromPath": 2, "message": 3}
    made = watch(matcher(pattern))
    found = lines(made, "c.js in src/x.proj: m", f"{tmp_path}/a.js in x: m", "../../etc/passwd in x: m")
    assert [item.get("file") for item in found] == ["src/c.js", "a.js", None]


def test_newest_matcher_takes_a_line_and_the_same_owner_is_replaced(watch, tmp_path):
    made = watch(matcher({"regexp": "(.*)", "message": 1}, severity="notice"))
    (tmp_path / "new.json").write_text(
        json.dumps({"problemMatcher": [{**matcher({"regexp": "^(x.*)", "message": 1}), "owner": "new"}]})
    )
    made.take(["add", "new.json"])
    assert [item["severity"] for item in lines(made, "x", "y")] == ["error", "notice"]
    made.take(["remove-owner", "NEW"])
    assert [item["severity"] for item in lines(made, "x")][2:] == ["notice"]
    made.take(["add", "new.json"])
    made.take(["remove", str(tmp_path / "new.json")])
    assert [item["owner"] for item in made.written] == ["lint"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[]", "problemMatcher"),
        ({"problemMatcher": {}}, "problemMatcher"),
        ({"problemMatcher": [1]}, "owner"),
        ({"problemMatcher": [{"owner": "a"}]}, "'pattern'"),
        ({"problemMatcher": [matcher(1)]}, "'regexp'"),
        ({"problemMatcher": [matcher({"regexp": "(", "message": 1})]}, "which is none"),
        ({"problemMatcher": [matcher({"regexp": "x"})]}, "'message'"),
        ({"problemMatcher": [matcher({"regexp": "x", "message": 0, "loop": True})]}, "'loop'"),
    ],
)
def test_file_of_something_else_says_what_is_wrong(content, said):
    text = content if isinstance(content, str) else json.dumps(content)
    with pytest.raises(MatcherError, match=said):
        list(read_matchers(text))


def test_file_that_cannot_be_used_is_told_and_changes_nothing(watch, tmp_path):
    (tmp_path / "bad.json").write_text("{}")
    made = watch(SINGLE)
    made.take(["add", "bad.json"])
    made.take(["add", "none.json"])
    assert len(made.problems) == 2
    assert made.written == [SINGLE]
