"""Local checkouts, handed out with what is not committed."""

import os
import shutil
import subprocess

import pytest

from terraphim_runner.github.contents.working_tree import WorkingTree
from terraphim_runner.ports import CheckoutError, CheckoutRequest

pytestmark = pytest.mark.anyio


def listing(path):
    return subprocess.check_output(["find", str(path), "-printf", "%p %T@ %s\n"])


async def test_working_tree_with_changes_shows_the_same_status(origin, unpack):
    for name in ("kept", "edited", "gone", "gone-staged", "staged", "twice", "mode"):
        origin.write(name, "1\n")
    origin.write(".gitignore", "ignored\n")
    sha = origin.commit()
    origin.write("edited", "2\n")
    origin.git("rm", "-q", "gone-staged")
    os.unlink(origin.path / "gone")
    origin.write("staged", "2\n")
    origin.write("twice", "2\n")
    origin.write("ne\nw", "2\n")
    origin.git("add", "staged", "twice", "ne\nw")
    origin.write("twice", "3\n")
    origin.write("mode", "1\n", 0o755)
    origin.write("untracked", "u")
    origin.write("ignored", "i")
    os.symlink("/etc", origin.path / "etc")
    tree = await unpack(WorkingTree(origin.path))
    assert (tree.sha, tree.ref) == (sha, "refs/heads/main")
    assert tree.git("status", "--porcelain").splitlines() == origin_status(origin)
    assert tree.git("show", ":twice") == "2"
    assert (tree.path / "twice").read_text() == "3\n"
    assert not (tree.path / "ignored").exists()
    assert os.readlink(tree.path / "etc") == "/etc"
    assert tree.git("fsck", "--full") == ""
    assert tree.git("config", "remote.origin.url") == "https://github.com/octo/hello"


def origin_status(origin):
    # Not through ``git()``, which strips the first line's leading space.
    shown = subprocess.run(
        ["git", "status", "--porcelain"], cwd=origin.path, capture_output=True, text=True, check=True
    )
    return shown.stdout.splitlines()


async def test_working_tree_without_changes_is_clean(origin, unpack):
    tree = await unpack(WorkingTree(origin.path), depth=0)
    assert tree.git("status", "--porcelain", "--branch") == "## main...origin/main"


async def test_working_tree_leaves_the_checkout_as_it_was(origin, unpack):
    origin.write("new", "1")
    before = listing(origin.path)
    await unpack(WorkingTree(origin.path))
    assert listing(origin.path) == before


async def test_working_tree_detached_is_detached(origin, unpack):
    origin.git("checkout", "-q", "--detach")
    tree = await unpack(WorkingTree(origin.path))
    assert tree.ref == ""
    assert tree.git("rev-parse", "--abbrev-ref", "HEAD") == "HEAD"


async def test_working_tree_folder_that_became_a_link_does_not_leak(origin, unpack, tmp_path):
    secret = tmp_path / "secrets"
    secret.mkdir()
    (secret / "key").write_text("leaked")
    origin.write("config/key", "harmless")
    origin.commit()
    shutil.rmtree(origin.path / "config")
    os.symlink(secret, origin.path / "config")
    tree = await unpack(WorkingTree(origin.path))
    assert b"leaked" not in tree.archive
    assert os.readlink(tree.path / "config") == str(secret)


@pytest.mark.parametrize("depth", [0, 1, 2])
async def test_working_tree_with_hostile_configuration_runs_nothing(origin, unpack, tmp_path, depth):
    origin.write(".gitattributes", "* filter=evil diff=evil\n")
    origin.commit()
    for key in (
        "core.fsmonitor",
        "filter.evil.clean",
        "filter.evil.smudge",
        "diff.evil.textconv",
        "core.sshCommand",
        "uploadpack.packObjectsHook",
    ):
        origin.git("config", key, f"touch {tmp_path}/pwned")
    origin.write("README.md", "changed\n")
    origin.git("-c", "filter.evil.clean=cat", "-c", "core.fsmonitor=false", "add", "README.md")
    tree = await unpack(WorkingTree(origin.path), depth=depth)
    assert tree.git("status", "--porcelain") == "M  README.md"
    assert not (tmp_path / "pwned").exists()


async def test_working_tree_by_another_ref_is_that_commit(origin, unpack):
    origin.git("checkout", "-q", "-b", "topic")
    origin.write("topic", "1")
    topic = origin.commit()
    origin.git("checkout", "-q", "main")
    origin.write("README.md", "changed\n")
    other = await unpack(WorkingTree(origin.path), ref="topic")
    assert (other.sha, other.git("status", "--porcelain")) == (topic, "")
    assert (other.path / "topic").read_text() == "1"
    for same in ("main", "refs/heads/main", origin.git("rev-parse", "HEAD")):
        assert (await unpack(WorkingTree(origin.path), ref=same)).git("status", "--porcelain") == " M README.md"


@pytest.mark.parametrize("ref", ["gone", "refs/heads/gone", "d" * 40, "--all", "HEAD~1"])
async def test_working_tree_by_a_missing_ref_fails_closed(origin, unpack, ref):
    with pytest.raises(CheckoutError):
        await unpack(WorkingTree(origin.path), ref=ref)


async def test_working_tree_without_git_is_handed_out_whole(unpack, tmp_path):
    plain = tmp_path / "plain"
    (plain / "a" / "empty").mkdir(parents=True)
    (plain / "a" / "file").write_text("1")
    os.symlink("/etc", plain / "etc")
    os.mkfifo(plain / "fifo")
    tree = await unpack(WorkingTree(plain))
    assert (tree.sha, tree.ref) == ("", "")
    assert sorted(path.name for path in tree.path.rglob("*")) == ["a", "empty", "etc", "file"]
    assert os.readlink(tree.path / "etc") == "/etc"


async def test_working_tree_inside_of_a_checkout_is_not_that_checkout(origin, unpack):
    origin.write("sub/file", "1")
    tree = await unpack(WorkingTree(origin.path / "sub"))
    assert [path.name for path in tree.path.iterdir()] == ["file"]


async def test_working_tree_before_its_first_commit_has_the_files(make_origin, unpack):
    made = make_origin("fresh")
    made.write("a", "1")
    tree = await unpack(WorkingTree(made.path))
    assert (tree.sha, [path.name for path in tree.path.iterdir()]) == ("", ["a"])


async def test_working_tree_of_a_shallow_checkout_is_handed_out(origin, unpack, tmp_path):
    origin.commit()
    shallow = tmp_path / "shallow"
    origin.git("clone", "-q", "--depth=1", f"file://{origin.path}", str(shallow))
    (shallow / "new").write_text("1")
    for depth in (0, 1, 5):
        tree = await unpack(WorkingTree(shallow), depth=depth)
        assert tree.git("status", "--porcelain") == "?? new"
        assert tree.git("fsck", "--full") == ""


async def test_working_tree_that_is_a_linked_worktree_is_handed_out(origin, unpack, tmp_path):
    origin.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    (tmp_path / "side" / "new").write_text("1")
    for depth in (0, 1, 2):
        tree = await unpack(WorkingTree(tmp_path / "side"), depth=depth)
        assert tree.ref == "refs/heads/side"
        assert tree.git("status", "--porcelain") == "?? new"


async def test_working_tree_with_conflicts_is_handed_out(origin, unpack):
    origin.git("checkout", "-q", "-b", "topic")
    origin.write("README.md", "topic\n")
    origin.commit()
    origin.git("checkout", "-q", "main")
    origin.write("README.md", "main\n")
    origin.commit()
    origin.git("merge", "topic", check=False)
    tree = await unpack(WorkingTree(origin.path))
    assert tree.git("status", "--porcelain") == " M README.md"


async def test_working_tree_that_is_no_directory_is_told(tmp_path):
    with pytest.raises(CheckoutError, match="not a directory"):
        async with WorkingTree(tmp_path / "gone").checkout(CheckoutRequest(repository="o/r")):
            pass


async def test_working_tree_of_another_repository_is_not_supported_yet(origin):
    with pytest.raises(CheckoutError, match="not supported yet"):
        async with WorkingTree(origin.path, repository="octo/hello").checkout(CheckoutRequest(repository="o/r")):
            pass
