"""Events for a local checkout: real git repositories, real event files."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from terraphim_runner.cli.local_event import local_event
from terraphim_runner.model.errors import UsageError


def git(directory: Path, *arguments: str) -> str:
    finished = subprocess.run(
        ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-C", str(directory), *arguments],
        check=True,
        capture_output=True,
        text=True,
    )
    return finished.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    directory = tmp_path / "hello world"
    directory.mkdir()
    git(directory, "init", "-q", "-b", "main")
    (directory / "a.txt").write_text("1")
    git(directory, "add", ".")
    git(directory, "commit", "-q", "-m", "first")
    (directory / "b c.txt").write_text("2")
    git(directory, "add", ".")
    git(directory, "commit", "-q", "-m", "second\n\nbody")
    return directory


def test_push_without_event_file_describes_the_head(repository: Path):
    event = local_event("push", repository, None, {})

    assert event.ref == "refs/heads/main"
    assert event.sha == git(repository, "rev-parse", "HEAD")
    assert event.before == git(repository, "rev-parse", "HEAD^")
    assert event.changed_files == ("b c.txt",)
    assert event.repository.full_name == "local/hello-world"
    assert event.payload["head_commit"]["message"] == "second\n\nbody"
    assert event.payload["head_commit"]["author"] == {"name": "Ada", "email": "ada@example.org"}
    assert event.payload["created"] is False
    json.dumps(event.payload)


def test_push_of_a_first_commit_changes_every_file(tmp_path: Path):
    git(tmp_path, "init", "-q", "-b", "trunk")
    (tmp_path / "x").write_text("x")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")

    event = local_event("push", tmp_path, None, {})

    assert event.ref == "refs/heads/trunk"
    assert event.before == "0" * 40
    assert event.changed_files == ("x",)
    assert event.payload["created"] is True


def test_directory_without_git_has_the_zero_commit(tmp_path: Path):
    event = local_event("push", tmp_path, None, {})

    assert event.sha == "0" * 40
    assert event.ref == "refs/heads/main"
    assert event.changed_files is None


def test_directory_inside_another_repository_is_not_that_repository(repository: Path):
    inner = repository / "inner"
    inner.mkdir()

    assert local_event("push", inner, None, {}).sha == "0" * 40


def test_repository_without_a_commit_has_the_zero_commit(tmp_path: Path):
    git(tmp_path, "init", "-q", "-b", "main")

    event = local_event("push", tmp_path, None, {})

    assert (event.sha, event.payload["head_commit"], event.changed_files) == ("0" * 40, None, None)


def test_detached_head_at_a_tag_is_the_tag(repository: Path):
    git(repository, "tag", "v1.0")
    git(repository, "checkout", "-q", "--detach")

    assert local_event("push", repository, None, {}).ref == "refs/tags/v1.0"


def test_pull_request_without_event_file_goes_from_the_branch_to_the_default_one(repository: Path):
    fork = git(repository, "rev-parse", "HEAD")
    git(repository, "checkout", "-q", "-b", "feature/x")
    (repository / "new").write_text("n")
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "third")

    event = local_event("pull_request", repository, None, {})

    assert (event.action, event.ref, event.head_ref, event.base_ref) == (
        "opened",
        "refs/pull/1/merge",
        "feature/x",
        "main",
    )
    assert event.changed_files == ("new",)
    assert event.payload["pull_request"]["base"]["sha"] == fork
    assert event.payload["pull_request"]["title"] == "third"


def test_workflow_dispatch_carries_the_inputs(repository: Path):
    event = local_event("workflow_dispatch", repository, None, {"level": "high"})

    assert event.payload["inputs"] == {"level": "high"}
    assert event.payload["ref"] == "refs/heads/main"


def test_inputs_to_another_event_are_refused(repository: Path):
    with pytest.raises(UsageError, match="only 'workflow_dispatch' takes inputs"):
        local_event("push", repository, None, {"a": "b"})


def test_schedule_has_the_current_branch(repository: Path):
    assert local_event("schedule", repository, None, {}).ref == "refs/heads/main"


def test_unknown_event_names_the_nearest(repository: Path):
    with pytest.raises(UsageError, match=r"unknown event 'pul-request'; did you mean 'pull_request'\?"):
        local_event("pul-request", repository, None, {})


def test_missing_directory_is_a_clear_error(tmp_path: Path):
    with pytest.raises(UsageError, match="cannot use repository"):
        local_event("push", tmp_path / "absent", None, {})


def test_broken_repository_is_a_clear_error(tmp_path: Path):
    (tmp_path / ".git").write_text("gitdir: /nowhere")

    with pytest.raises(UsageError, match="git cannot use the repository"):
        local_event("push", tmp_path, None, {})


def test_event_file_of_a_push_decides_ref_sha_and_repository(repository: Path, tmp_path: Path):
    file = tmp_path / "event.json"
    file.write_text(
        json.dumps(
            {
                "ref": "refs/tags/v2",
                "after": "a" * 40,
                "before": "b" * 40,
                "repository": {
                    "full_name": "octo/cat",
                    "clone_url": "https://git.example/octo/cat.git",
                    "default_branch": "dev",
                },
                "sender": {"login": "mona"},
            }
        )
    )

    event = local_event("push", repository, file, {})

    assert (event.ref, event.sha, event.before) == ("refs/tags/v2", "a" * 40, "b" * 40)
    assert (event.repository.full_name, event.repository.default_branch, event.actor) == ("octo/cat", "dev", "mona")
    assert event.changed_files is None


def test_event_file_of_a_pull_request_decides_refs(repository: Path, tmp_path: Path):
    file = tmp_path / "event.json"
    pull = {"number": 7, "head": {"ref": "topic", "sha": "c" * 40}, "base": {"ref": "main", "sha": "d" * 40}}
    file.write_text(json.dumps({"action": "synchronize", "number": 7, "pull_request": pull}))

    merged = local_event("pull_request", repository, file, {})
    target = local_event("pull_request_target", repository, file, {})

    assert (merged.ref, merged.sha, merged.head_ref, merged.base_ref) == (
        "refs/pull/7/merge",
        "c" * 40,
        "topic",
        "main",
    )
    assert (target.ref, target.sha) == ("refs/heads/main", git(repository, "rev-parse", "main"))


def test_event_file_of_a_merged_pull_request_is_for_the_branch_it_went_into(repository: Path, tmp_path: Path):
    file = tmp_path / "event.json"
    pull = {"number": 7, "merged": True, "base": {"ref": "main"}, "merge_commit_sha": "e" * 40}
    file.write_text(json.dumps({"action": "closed", "pull_request": pull}))

    event = local_event("pull_request", repository, file, {})

    assert (event.ref, event.sha) == ("refs/heads/main", "e" * 40)


def test_pull_request_brings_its_heads_message(repository: Path):
    git(repository, "checkout", "-q", "-b", "topic")
    git(repository, "commit", "-q", "--allow-empty", "-m", "wip [skip ci]")

    assert (local_event("pull_request", repository, None, {}).head_message or "").strip() == "wip [skip ci]"
    assert local_event("pull_request_target", repository, None, {}).head_message is None


def test_event_of_no_commit_is_for_the_default_branch(repository: Path):
    tip = git(repository, "rev-parse", "main")
    git(repository, "checkout", "-q", "-b", "topic")
    git(repository, "commit", "-q", "--allow-empty", "-m", "more")

    event = local_event("issues", repository, None, {})

    assert (event.ref, event.sha) == ("refs/heads/main", tip)


@pytest.mark.parametrize(
    ("name", "payload", "ref", "sha"),
    [
        ("release", {"release": {"tag_name": "v1"}}, "refs/tags/v1", "tip"),
        ("create", {"ref": "v1", "ref_type": "tag"}, "refs/tags/v1", "tip"),
        ("create", {"ref": "gone", "ref_type": "branch"}, "refs/heads/gone", "tip"),
        ("workflow_dispatch", {"ref": "v1"}, "refs/heads/v1", "tip"),
        ("deployment", {"deployment": {"ref": "main", "sha": "a" * 40}}, "refs/heads/main", "a" * 40),
        ("deployment_status", {"deployment": {"ref": "a" * 40, "sha": "a" * 40}}, "", "a" * 40),
        (
            "merge_group",
            {"merge_group": {"head_ref": "refs/heads/q/1", "head_sha": "b" * 40}},
            "refs/heads/q/1",
            "b" * 40,
        ),
        ("registry_package", {"registry_package": {"package_version": {}}}, "refs/heads/main", "tip"),
        (
            "registry_package",
            {"registry_package": {"package_version": {"target_commitish": "dev", "target_oid": "c" * 40}}},
            "refs/heads/dev",
            "c" * 40,
        ),
        ("push", {"ref": "refs/heads/gone", "deleted": True, "after": "0" * 40}, "refs/heads/main", "tip"),
    ],
)
def test_event_file_decides_the_place_that_github_documents(
    repository: Path, tmp_path: Path, name: str, payload: dict, ref: str, sha: str
):
    git(repository, "tag", "-a", "-m", "one", "v1")
    file = tmp_path / "event.json"
    file.write_text(json.dumps(payload))

    event = local_event(name, repository, file, {})

    assert (event.ref, event.sha) == (ref, git(repository, "rev-parse", "HEAD") if sha == "tip" else sha)


def test_event_file_of_a_new_branch_is_judged_on_its_own_commits(repository: Path, tmp_path: Path):
    head = git(repository, "rev-parse", "HEAD")
    push = {"ref": "refs/heads/topic", "before": "0" * 40, "after": head}
    file = tmp_path / "event.json"

    file.write_text(json.dumps({**push, "commits": [{"id": head}]}))
    assert local_event("push", repository, file, {}).changed_files == ("b c.txt",)
    file.write_text(json.dumps({**push, "commits": []}))
    assert local_event("push", repository, file, {}).changed_files == ()


@pytest.mark.parametrize(
    ("commits", "files"),
    [
        pytest.param(
            [
                {"added": ["b"], "modified": ["a"], "removed": []},
                {"added": [], "modified": ["a"], "removed": ["c", 7]},
                {"added": [], "modified": [], "removed": []},
            ],
            ("a", "b", "c"),
            id="webhook",
        ),
        pytest.param([{"added": ["b"], "modified": [], "removed": []}, {"id": "f" * 40}], None, id="partly-told"),
        pytest.param([{"added": [], "modified": [], "removed": []}], None, id="empty"),
        pytest.param([{"added": ["b"], "modified": [], "removed": []}] * 2048, None, id="cut-short"),
        pytest.param(["b"], None, id="no-commits"),
    ],
)
def test_event_file_of_commits_that_are_elsewhere_is_judged_on_the_files_that_it_names(
    repository: Path, tmp_path: Path, commits: list[object], files: tuple[str, ...] | None
):
    event_file = tmp_path / "event.json"
    event_file.write_text(
        json.dumps({"ref": "refs/heads/main", "before": "d" * 40, "after": "e" * 40, "commits": commits})
    )

    assert local_event("push", repository, event_file, {}).changed_files == files


def test_event_file_of_another_event_is_refused(repository: Path, tmp_path: Path):
    file = tmp_path / "event.json"
    file.write_text('{"action": "created", "issue": {}}')

    with pytest.raises(UsageError, match=r"has 'issue' and no 'ref': it is of 'issues', 'issue_comment', expected one"):
        local_event("push", repository, file, {})
    assert local_event("fork", repository, file, {}).name == "fork"


@pytest.mark.parametrize(
    ("name", "told"),
    [("workflow_call", "name the event that starts the calling"), ("pull_request_comment", "use 'issue_comment'")],
)
def test_event_that_github_never_sends_is_refused(repository: Path, name: str, told: str):
    with pytest.raises(UsageError, match=told):
        local_event(name, repository, None, {})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not valid JSON"),
        ("[" * 200_000, "is not valid JSON"),
        ("NaN", "NaN is not JSON"),
        ("[]", "holds list; expected a JSON object"),
        ('{"ref": ["x"]}', "'ref' is list; expected a string"),
        ('{"ref": "refs/heads/a b"}', "expected a ref such as"),
        ('{"ref": "refs/heads/../../x"}', "expected a ref such as"),
        ('{"after": "--upload-pack=x"}', "expected a commit of 40 hexadecimal digits"),
        ('{"repository": 3}', "'repository.full_name' is 3"),
        ('{"repository": {"full_name": "../.."}}', "expected 'owner/name'"),
        ('{"repository": {"full_name": "a/b/c"}}', "expected 'owner/name'"),
        ('{"sender": {"login": 5}}', "'sender.login' is 5; expected a string"),
        ('{"sender": {"login": "a\\u0000b"}}', "expected a string without control characters"),
        ('{"ref": "refs/heads/\\ud800"}', "expected a string without control characters"),
        ('{"repository": {"default_branch": "../x"}}', "expected a ref such as"),
        ('{"action": true}', "'action' is True; expected a string"),
    ],
)
def test_event_file_with_a_wrong_shape_is_a_clear_error(tmp_path: Path, content: str, message: str):
    file = tmp_path / "event.json"
    file.write_text(content)

    with pytest.raises(UsageError, match=re.escape(message)):
        local_event("push", tmp_path, file, {})


def test_pull_request_number_of_a_wrong_kind_is_a_clear_error(tmp_path: Path):
    file = tmp_path / "event.json"
    file.write_text('{"pull_request": {"number": "7"}}')

    with pytest.raises(UsageError, match=r"'pull_request.number' is '7'; expected a whole number"):
        local_event("pull_request", tmp_path, file, {})


def test_event_file_that_is_absent_is_a_clear_error(tmp_path: Path):
    with pytest.raises(UsageError, match="cannot read event file"):
        local_event("push", tmp_path, tmp_path / "absent.json", {})


members = st.sampled_from(
    [
        "ref",
        "after",
        "before",
        "action",
        "number",
        "repository",
        "full_name",
        "default_branch",
        "clone_url",
        "sender",
        "login",
        "pull_request",
        "head",
        "base",
        "sha",
        "merge_commit_sha",
        "inputs",
    ]
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(["main", "a" * 40, "o/n"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(members, inner, max_size=5),
    max_leaves=12,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(payload=st.dictionaries(members, json_values), name=st.sampled_from(["push", "pull_request", "release"]))
def test_any_event_file_gives_an_event_or_a_clear_error(tmp_path: Path, payload: dict, name: str):
    file = tmp_path / "event.json"
    file.write_text(json.dumps(payload))
    try:
        event = local_event(name, tmp_path, file, {})
    except UsageError as error:
        assert str(error).isprintable()  # noqa: PT017 - either outcome is right
    else:
        assert re.fullmatch(r"[0-9a-f]{40}", event.sha)
        assert event.ref.startswith("refs/")
