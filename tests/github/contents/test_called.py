"""Called workflow files of other repositories, from real ones."""

import os

import pytest

from terraphim_runner.github.contents.called import RemoteFiles
from terraphim_runner.model.errors import InfrastructureError
from terraphim_runner.model.event import Event
from terraphim_runner.services.calls import resolve
from terraphim_runner.services.mirrored import MirroredSources
from terraphim_runner.workflow import parse
from terraphim_runner.workflow.linking import FileReference

pytestmark = pytest.mark.anyio

PATH = ".github/workflows/build.yml"


def reference(ref, path=PATH, repository="octo/lib"):
    return FileReference(path=path, repository=repository, ref=ref)


@pytest.fixture
def library(make_origin):
    """A repository with the branch ``main``, the tag ``v1`` on its first commit, and ``both`` as tag and branch."""
    made = make_origin("server/octo/lib.git")
    made.write(PATH, "one\n")
    made.first = made.commit("first")
    made.git("tag", "-a", "v1", "-m", "version 1")
    made.git("tag", "both")
    made.write(PATH, "two\n")
    made.second = made.commit("second")
    made.git("branch", "both")
    return made


@pytest.fixture
def remote(make, library, tmp_path):
    return RemoteFiles(make(server_url=f"file://{tmp_path}/server"))


async def test_remote_file_is_read_at_whatever_its_ref_means(remote, library):
    texts = {
        "main": "two\n",
        "v1": "one\n",
        "both": "one\n",
        "refs/heads/both": "two\n",
        "refs/tags/both": "one\n",
        library.first: "one\n",
        library.first.upper(): "one\n",
    }
    found = {ref: await remote.read(reference(ref)) for ref in texts}
    assert {ref: file.text for ref, file in found.items()} == texts
    assert found["v1"].sha == library.first
    assert found["main"].sha == library.second


async def test_remote_ref_means_one_commit_for_a_whole_run(remote, library, make, tmp_path):
    assert (await remote.read(reference("main"))).text == "two\n"
    library.write(PATH, "three\n")
    library.write(".github/workflows/other.yml", "new\n")
    library.commit("third")
    assert (await remote.read(reference("main"))).text == "two\n"
    other = await remote.read(reference("main", ".github/workflows/other.yml", "Octo/Lib"))
    assert other.error == "there is no such file"
    later = RemoteFiles(make(server_url=f"file://{tmp_path}/server"))
    assert (await later.read(reference("main"))).text == "three\n"


@pytest.mark.parametrize(
    ("ref", "said"),
    [
        ("v9", "'v9' is no tag, branch or full commit id of 'octo/lib'"),
        ("abcdef0", "'abcdef0' is no tag, branch or full commit id of 'octo/lib'"),
        ("refs/heads/v1", "'refs/heads/v1' is no tag, branch or full commit id of 'octo/lib'"),
        ("refs/pull/1/head", "ref 'refs/pull/1/head' does not exist in 'octo/lib'"),
        ("1" * 40, f"commit {'1' * 40} does not exist in 'octo/lib'"),
        ("-x", "found the branch '-x', which git refuses as a name"),
        ("a..b", "found the ref 'refs/heads/a..b': a ref has no '..', no '@{' and no '.' at its end"),
        ("main^{tree}", "found the ref 'refs/heads/main^{tree}': a ref has no spaces"),
    ],
)
async def test_remote_ref_that_means_nothing_is_told(remote, ref, said):
    found = await remote.read(reference(ref))
    assert (found.text, found.sha) == ("", None)
    assert found.error is not None
    assert found.error.startswith(said)


async def test_remote_id_of_a_tree_is_no_commit(remote, library):
    tree = library.git("rev-parse", "HEAD^{tree}")
    assert (
        await remote.read(reference(tree[:12]))
    ).error == f"{tree[:12]!r} is no tag, branch or full commit id of 'octo/lib'"
    assert "expected a commit" in (await remote.read(reference(tree))).error


async def test_remote_beginning_of_an_id_is_no_commit_as_on_github(remote, library):
    for length in (7, 10, 39):
        found = await remote.read(reference(library.first[:length]))
        assert found.error == f"{library.first[:length]!r} is no tag, branch or full commit id of 'octo/lib'"


async def test_remote_repository_that_does_not_exist_is_told_without_a_path_of_this_host(remote):
    found = await remote.read(reference("main", repository="octo/gone"))
    assert found.error is not None
    assert "'octo/gone'" in found.error


async def test_remote_repository_with_an_illegal_name_is_refused(remote):
    found = await remote.read(reference("main", repository="octo_/li~b"))
    assert found.error.startswith("found the repository 'octo_/li~b'")


async def test_remote_file_url_needs_the_settings_leave(make, library, tmp_path):
    remote = RemoteFiles(make(server_url=f"file://{tmp_path}/server", allow_file_urls=False))
    assert "its clone URL is a file URL, which the settings forbid" in (await remote.read(reference("main"))).error


async def test_remote_server_that_cannot_be_reached_is_trouble_on_the_way(make):
    remote = RemoteFiles(make(server_url="https://127.0.0.1:9"))
    with pytest.raises(InfrastructureError) as raised:
        await remote.read(reference("main"))
    assert raised.value.retryable


async def test_remote_repository_that_was_placed_here_is_used_as_it_is(make, make_origin):
    placed = make_origin("repositories/octo/lib")
    placed.write(PATH, "placed\n")
    sha = placed.commit()
    remote = RemoteFiles(make(server_url="https://127.0.0.1:9"))
    for ref in ("main", sha):
        assert (await remote.read(reference(ref))).text == "placed\n"


async def test_remote_reference_to_the_run_s_own_repository_goes_where_its_payload_says(make, origin):
    origin.write(PATH, "own\n")
    origin.commit()
    remote = RemoteFiles(make(server_url="https://127.0.0.1:9"), own=origin.repository)
    assert (await remote.read(reference("main", repository="OCTO/Hello"))).text == "own\n"


async def test_mirror_reads_one_workflow_or_says_why_not(make, origin):
    origin.write(PATH, "\ufeffbuild\n")
    origin.write(".github/workflows/binary.yml", b"\xff\xfe")
    origin.write(".github/workflows/large.yml", b"#" * (1024 * 1024 + 1))
    origin.write(".github/workflows/folder.yml/x", b"")
    os.symlink("build.yml", origin.path / ".github/workflows/link.yml")
    sha = origin.commit()
    mirror = make()
    await mirror.ensure(origin.repository, sha, "")

    async def read(name):
        return await mirror.read_workflow(origin.repository, sha, f".github/workflows/{name}")

    assert ((await read("build.yml")).text, (await read("build.yml")).sha) == ("build\n", sha)
    assert "it is not UTF-8" in (await read("binary.yml")).error
    assert "expected at most 1048576" in (await read("large.yml")).error
    assert "symbolic links are not followed" in (await read("link.yml")).error
    for name in ("folder.yml", "gone.yml", "a\0b.yml", "*.yml"):
        missing = await read(name)
        assert missing.error == "there is no such file"
        assert ".github/workflows/build.yml" in missing.known


async def test_mirrored_sources_link_a_pushed_workflow_from_its_commit_and_from_other_repositories(
    make, make_origin, library, tmp_path
):
    leaf = "on: workflow_call\njobs:\n  b:\n    runs-on: x\n    steps: [{run: 'true'}]\n"
    library.write(PATH, leaf)
    library.commit()
    own = make_origin("own")
    own.write(".github/workflows/near.yml", leaf)
    calls = (
        "  near:\n    uses: ./.github/workflows/near.yml\n  far:\n    uses: octo/lib/.github/workflows/build.yml@main\n"
    )
    own.write(".github/workflows/ci.yml", f"on: push\njobs:\n{calls}")
    sha = own.commit()
    own.write(".github/workflows/near.yml", "on: push\n")
    own.commit()
    sources = MirroredSources(make(server_url=f"file://{tmp_path}/server"))
    event = Event(name="push", action=None, repository=own.repository, ref="refs/heads/main", sha=sha)
    prepared = await sources.prepare(event)
    text = next(file.text for file in prepared.files if file.path.endswith("ci.yml"))
    workflow = parse(".github/workflows/ci.yml", text).workflow
    linked = await resolve(workflow, sources.called(prepared.event))
    assert linked.diagnostics == ()
    assert linked.workflow.calls["near"].origin is None
    assert linked.workflow.calls["far"].origin.sha == library.git("rev-parse", "HEAD")


async def test_stranger_calls_public_repositories_only(make, library, tmp_path):
    mirror = make(server_url=f"file://{tmp_path}/server")
    public = RemoteFiles(mirror, public_only=True)
    assert (await public.read(reference("v1"))).text == "one\n"
    hidden = await public.read(reference("main", repository="octo/private"))
    assert hidden.error == "a stranger's pull request may call workflows of public repositories only"
    # It is mirrored by now, for those who may see it; once its server hides it, strangers see it no more.
    library.path.rename(tmp_path / "moved")
    again = await RemoteFiles(mirror, public_only=True).read(reference("v1"))
    assert again.error == hidden.error
    assert again.text == ""


async def test_stranger_may_call_the_run_s_own_repository_and_none_that_was_placed_by_hand(make, make_origin, tmp_path):
    placed = make_origin("repositories/octo/placed.git")
    placed.write(PATH, "placed\n")
    placed.commit()
    mirror = make(server_url=f"file://{tmp_path}/server")
    wanted = reference("main", repository="octo/placed")
    assert (await RemoteFiles(mirror).read(wanted)).text == "placed\n"
    assert (await RemoteFiles(mirror, public_only=True).read(wanted)).error is not None
    own = RemoteFiles(mirror, own=mirror.named("octo/placed"), public_only=True)
    assert (await own.read(wanted)).text == "placed\n"


async def test_mirrored_sources_read_only_public_repositories_for_a_run_without_secrets(make, make_origin, tmp_path):
    placed = make_origin("repositories/octo/placed.git")
    placed.write(PATH, "placed\n")
    placed.commit()
    own = make_origin("own")
    own.write("a", "a")
    sha = own.commit()
    sources = MirroredSources(make(server_url=f"file://{tmp_path}/server"))
    texts = {}
    for actor in ("octocat", "dependabot[bot]"):
        event = Event(name="push", action=None, repository=own.repository, ref="refs/heads/main", sha=sha, actor=actor)
        file = await sources.called(event)(reference("main", repository="octo/placed"))
        assert file is not None
        texts[actor] = (file.text, file.error is None)
    assert texts == {"octocat": ("placed\n", True), "dependabot[bot]": ("", False)}
