"""Trees out of a mirror: what real git says of them after they were unpacked by the system's tar."""

import io
import os
import tarfile
import time

import anyio
import pytest

from terraphim_runner.ports import CheckoutError, CheckoutRequest

pytestmark = pytest.mark.anyio
MISSING = "d" * 40


def tree_of(mirror, origin, sha=None, ref="refs/heads/main"):
    return mirror.source_tree(origin.repository, sha=sha or origin.git("rev-parse", "HEAD"), ref=ref)


async def test_checkout_of_a_branch_is_clean_sound_and_tracks_origin(origin, mirror, unpack):
    origin.write("bin/run", "#!/bin/sh\n", 0o755)
    origin.write("empty")
    origin.write("weiß\nzwei ☃", "x")
    origin.write(b"not\xffutf8", "x")
    origin.write("-dash", "x")
    os.symlink("bin/run", origin.path / "link")
    os.symlink("/etc/passwd", origin.path / "outside")
    sha = origin.commit()
    tree = await unpack(tree_of(mirror, origin))
    assert (tree.sha, tree.ref) == (sha, "refs/heads/main")
    assert tree.git("status", "--porcelain") == ""
    assert tree.git("rev-parse", "HEAD") == sha
    assert tree.git("symbolic-ref", "HEAD") == "refs/heads/main"
    assert tree.git("rev-parse", "--abbrev-ref", "main@{upstream}") == "origin/main"
    assert tree.git("rev-list", "--count", "HEAD") == "1"
    assert tree.git("fsck", "--full", "--strict") == ""
    assert os.readlink(tree.path / "outside") == "/etc/passwd"
    assert os.access(tree.path / "bin/run", os.X_OK)
    assert not os.access(tree.path / "empty", os.X_OK)
    assert (tree.path / "weiß\nzwei ☃").read_text() == "x"
    assert (tree.path / "README.md").stat().st_mode & 0o777 == 0o644


async def test_checkout_holds_neither_host_paths_nor_hooks(origin, mirror, unpack, tmp_path):
    tree = await unpack(tree_of(mirror, origin))
    assert os.fsencode(tmp_path) not in tree.archive
    assert not (tree.path / ".git" / "hooks").exists()
    assert not (tree.path / ".git" / "objects" / "info" / "alternates").exists()
    assert tree.git("config", "remote.origin.url") == "https://github.com/octo/hello"
    with tarfile.open(fileobj=io.BytesIO(tree.archive)) as archive:
        members = archive.getmembers()
    assert {(member.uid, member.gid, member.uname) for member in members} == {(1001, 1001, "")}
    assert not [member.name for member in members if member.name.startswith("/") or ".." in member.name.split("/")]


async def test_checkout_of_an_older_commit_is_that_commit(origin, mirror, unpack):
    old = origin.git("rev-parse", "HEAD")
    origin.write("new", "1")
    origin.commit()
    tree = await unpack(tree_of(mirror, origin, sha=old), depth=0)
    assert tree.git("rev-parse", "HEAD", "origin/main").split() == [old, old]
    assert not (tree.path / "new").exists()


async def test_checkout_of_a_pull_request_is_detached(origin, mirror, unpack):
    sha = origin.git("rev-parse", "HEAD")
    tree = await unpack(tree_of(mirror, origin, ref="refs/pull/7/merge"))
    assert tree.git("rev-parse", "--abbrev-ref", "HEAD") == "HEAD"
    assert tree.git("rev-parse", "refs/remotes/pull/7/merge") == sha
    assert tree.git("status", "--porcelain") == ""


@pytest.mark.parametrize("known", [False, True])
async def test_checkout_of_an_annotated_tag_keeps_the_tag(origin, mirror, unpack, known):
    if known:
        await mirror.ensure(origin.repository, origin.git("rev-parse", "HEAD"), "")
    origin.write("a", "1")
    sha = origin.commit()
    origin.git("tag", "-a", "v1", "-m", "one")
    tree = await unpack(tree_of(mirror, origin, ref="refs/tags/v1"))
    assert tree.git("describe") == "v1"
    assert tree.git("rev-parse", "HEAD") == sha
    assert tree.git("fsck", "--full") == ""


@pytest.mark.parametrize(("depth", "count"), [(1, "1"), (2, "2"), (3, "3"), (9, "4"), (0, "4")])
async def test_checkout_depth_is_that_of_the_history(origin, mirror, unpack, depth, count):
    for number in range(3):
        origin.commit(f"change {number}")
    tree = await unpack(tree_of(mirror, origin), depth=depth)
    assert tree.git("rev-list", "--count", "HEAD") == count
    assert tree.git("fsck", "--full") == ""


async def test_checkout_of_all_history_has_all_branches_and_tags_as_they_are_now(origin, mirror, unpack):
    first = await unpack(tree_of(mirror, origin), depth=0)
    origin.git("branch", "topic/one")
    origin.git("tag", "v1")
    second = await unpack(tree_of(mirror, origin), depth=0)
    assert first.git("branch", "-r").split() == ["origin/main"]
    assert second.git("branch", "-r").split() == ["origin/main", "origin/topic/one"]
    assert second.git("tag") == "v1"


async def test_checkout_with_fetch_tags_has_tags_but_little_history(origin, mirror, unpack):
    origin.git("tag", "v1")
    origin.commit()
    tree = await unpack(tree_of(mirror, origin), fetch_tags="true")
    assert tree.git("tag") == "v1"
    assert tree.git("rev-list", "--count", "HEAD") == "1"


async def test_checkout_by_ref_finds_branches_tags_and_commits(origin, mirror, unpack):
    first = origin.git("rev-parse", "HEAD")
    origin.git("tag", "v1")
    origin.git("checkout", "-q", "-b", 'we"ird/one')
    origin.write("topic", "1")
    topic = origin.commit()
    tree = tree_of(mirror, origin, sha=first)
    named = await unpack(tree, ref='we"ird/one')
    assert (named.sha, named.ref) == (topic, 'refs/heads/we"ird/one')
    assert named.git("rev-parse", "--abbrev-ref", "@{upstream}") == 'origin/we"ird/one'
    assert (await unpack(tree, ref="v1")).ref == "refs/tags/v1"
    assert (await unpack(tree, ref='refs/heads/we"ird/one')).sha == topic
    detached = await unpack(tree, ref=topic)
    assert (detached.sha, detached.ref) == (topic, "")
    assert detached.git("rev-parse", "--abbrev-ref", "HEAD") == "HEAD"


@pytest.mark.parametrize(
    ("ref", "told"),
    [
        ("gone", "'gone' is neither a branch nor a tag of 'octo/hello'"),
        ("refs/heads/gone", "ref 'refs/heads/gone' does not exist"),
        (MISSING, f"commit {MISSING} does not exist"),
        ("--upload-pack=x", "git refuses"),
        ("a..b", "found the ref"),
        ("main^{tree}", "found the ref"),
    ],
)
async def test_checkout_of_a_ref_that_cannot_be_had_fails_closed(origin, mirror, unpack, ref, told):
    with pytest.raises(CheckoutError) as caught:
        await unpack(tree_of(mirror, origin), ref=ref)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"submodules": "recursive"}, "submodules: 'recursive' is not supported yet"),
        ({"lfs": "true"}, "lfs: 'true' is not supported yet"),
        ({"sparse_checkout": "src"}, "sparse-checkout: 'src' is not supported yet"),
        ({"depth": -1}, "fetch-depth: found -1"),
    ],
)
async def test_checkout_option_that_is_not_supported_is_named(origin, mirror, unpack, options, told):
    with pytest.raises(CheckoutError) as caught:
        await unpack(tree_of(mirror, origin), **options)
    assert told in str(caught.value)


async def test_checkout_option_at_its_default_is_accepted(origin, mirror, unpack):
    options = {"submodules": "false", "lfs": "false", "filter": "", "persist_credentials": "true", "token": "x"}
    assert (await unpack(tree_of(mirror, origin), **options)).git("status", "--porcelain") == ""


async def test_checkout_of_another_repository_is_not_supported_yet(origin, mirror):
    with pytest.raises(CheckoutError, match=r"another repository \('octo/other'\) is not supported yet"):
        async with tree_of(mirror, origin).checkout(CheckoutRequest(repository="octo/other")):
            pass


async def test_checkout_never_runs_filters_or_hooks_on_the_host(origin, mirror, unpack, tmp_path):
    origin.write(".gitattributes", "* filter=evil\n")
    sha = origin.commit()
    placed = tmp_path / "repositories" / "octo" / "hello"
    placed.parent.mkdir(parents=True)
    origin.git("clone", "-q", str(origin.path), str(placed))
    origin.git("-C", str(placed), "config", "filter.evil.smudge", f"touch {tmp_path}/pwned; cat")
    origin.git("-C", str(placed), "config", "core.fsmonitor", f"touch {tmp_path}/pwned")
    hook = placed / ".git" / "hooks" / "post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/pwned\n")
    hook.chmod(0o755)
    tree = await unpack(tree_of(mirror, origin))
    assert tree.sha == sha
    assert tree.git("status", "--porcelain") == ""
    assert not (tmp_path / "pwned").exists()


async def test_checkout_of_a_tree_that_names_itself_over_and_over_is_refused(origin, mirror, unpack):
    blob = origin.git("hash-object", "-w", "--stdin", stdin="x")
    lines = "".join(f"100644 blob {blob}\tf{number}\n" for number in range(10))
    tree = origin.git("mktree", stdin=lines)
    for _ in range(7):
        tree = origin.git("mktree", stdin="".join(f"040000 tree {tree}\td{number}\n" for number in range(10)))
    sha = origin.git("commit-tree", tree, "-m", "bomb")
    origin.git("update-ref", "refs/heads/bomb", sha)
    with pytest.raises(CheckoutError, match="too many files"):
        await unpack(tree_of(mirror, origin, sha=sha, ref="refs/heads/bomb"))


async def test_checkouts_at_once_build_one_archive(origin, mirror, unpack, tmp_path):
    for number in range(40):
        origin.write(f"src/{number}", "x" * number)
    origin.commit()
    tree = tree_of(mirror, origin)
    found = []

    async def one():
        async with tree.checkout(CheckoutRequest(repository="octo/hello")) as checkout:
            found.append(b"".join([chunk async for chunk in checkout.archive]))

    async with anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(one)
    assert len(set(found)) == 1
    assert len(found) == 8
    assert [path.name for path in (tmp_path / "cache" / "trees").iterdir() if path.name.startswith("building")] == []


async def test_checkout_evicted_while_it_is_read_is_read_to_its_end(origin, make, tmp_path):
    mirror = make(cache_bytes=1)
    origin.write("big", os.urandom(1024 * 1024))
    old = origin.commit()
    async with tree_of(mirror, origin).checkout(CheckoutRequest(repository="octo/hello")) as checkout:
        first = await anext(checkout.archive)
        origin.write("small", "x")
        async with tree_of(mirror, origin).checkout(CheckoutRequest(repository="octo/hello")):
            pass
        assert len(list((tmp_path / "cache" / "trees").glob("*.tar"))) == 1
        rest = b"".join([chunk async for chunk in checkout.archive])
    with tarfile.open(fileobj=io.BytesIO(first + rest)) as archive:
        assert archive.getmember("big").size == 1024 * 1024
    assert old


async def test_checkout_of_a_missing_commit_leaves_nothing_behind(origin, mirror, unpack, tmp_path):
    with pytest.raises(CheckoutError, match="does not exist"):
        await unpack(tree_of(mirror, origin, sha=MISSING))
    left = [path.name for path in (tmp_path / "cache" / "trees").iterdir()]
    assert left == ["locks"]


async def test_checkout_is_quick_and_quicker_the_second_time(origin, mirror):
    for number in range(30):
        origin.write(f"src/{number}.py", "x\n" * 100)
    origin.commit()
    tree = tree_of(mirror, origin)
    await mirror.ensure(origin.repository, tree._own.sha, "refs/heads/main")
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        async with tree.checkout(CheckoutRequest(repository="octo/hello")) as checkout:
            await anext(checkout.archive)
        seconds.append(time.perf_counter() - start)
    assert seconds[0] < 0.5
    assert min(seconds[1:]) < 0.005


async def test_checkout_ignores_what_attributes_say_of_exports(origin, mirror, unpack):
    origin.write(".gitattributes", "hidden export-ignore\nstamp export-subst\n*.crlf text eol=crlf\n")
    origin.write("hidden", "x")
    origin.write("stamp", "$Format:%H$")
    origin.write("lines.crlf", "a\n")
    origin.write("src/" + "deep/" * 40 + "x" * 120, "long")
    origin.commit()
    tree = await unpack(tree_of(mirror, origin))
    assert tree.git("status", "--porcelain") == ""
    assert (tree.path / "hidden").read_text() == "x"
    assert (tree.path / "stamp").read_text() == "$Format:%H$"
    assert (tree.path / "lines.crlf").read_bytes() == b"a\r\n"
    assert not (tree.path / ".git" / "info" / "attributes").exists()
    with tarfile.open(fileobj=io.BytesIO(tree.archive)) as archive:
        assert {member.uid for member in archive.getmembers()} == {1001}


@pytest.mark.parametrize("name", [".git", "..", ".GIT"])
async def test_checkout_of_a_tree_with_a_forbidden_name_is_refused(origin, mirror, unpack, tmp_path, name):
    blob = origin.git("hash-object", "-w", "--stdin", stdin="evil")
    inner = origin.git("mktree", stdin=f"100644 blob {blob}\tconfig\n")
    raw = f"40000 {name}\0".encode() + bytes.fromhex(inner)
    path = tmp_path / "raw"
    path.write_bytes(raw)
    tree = origin.git("hash-object", "-w", "-t", "tree", "--literally", str(path))
    sha = origin.git("commit-tree", tree, "-m", "evil")
    placed = tmp_path / "repositories" / "octo" / "hello.git"
    placed.parent.mkdir(parents=True)
    os.symlink(origin.path / ".git", placed)  # placed, for a fetch into a mirror refuses such objects by itself
    with pytest.raises(CheckoutError):
        await unpack(tree_of(mirror, origin, sha=sha))


async def test_checkout_of_the_first_commit_is_not_shallow(origin, mirror, unpack):
    tree = await unpack(tree_of(mirror, origin))
    assert tree.git("rev-parse", "--is-shallow-repository") == "false"
    origin.commit()
    tree = await unpack(tree_of(mirror, origin))
    assert tree.git("rev-parse", "--is-shallow-repository") == "true"


async def test_checkout_can_be_deepened_and_committed_to_in_the_machine(origin, mirror, unpack):
    origin.commit()
    tree = await unpack(tree_of(mirror, origin))
    tree.git("fetch", "-q", "--unshallow", f"file://{origin.path}", "main")
    assert tree.git("rev-list", "--count", "HEAD") == "2"
    tree.git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "more")
    assert tree.git("status", "-sb").startswith("## main...origin/main [ahead 1]")
