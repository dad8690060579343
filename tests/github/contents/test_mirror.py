"""Mirrors: exact commits or a clear refusal."""

import os
import subprocess
import time
from functools import partial

import anyio
import anyio.lowlevel
import psutil
import pytest

from terraphim_runner.github.contents import repositories
from terraphim_runner.github.contents.git import Credential, Git, OutputTooLargeError, run_program
from terraphim_runner.model.errors import InfrastructureError
from terraphim_runner.model.event import Repository
from terraphim_runner.model.secret import Secret
from terraphim_runner.ports import CheckoutError

pytestmark = pytest.mark.anyio
MISSING = "d" * 40


def children():
    return [process.name() for process in psutil.Process().children(recursive=True)]


def listing(path):
    return subprocess.check_output(["find", str(path), "-printf", "%p %T@ %s\n"])


async def test_ensure_new_repository_mirrors_it_bare(origin, mirror, tmp_path):
    sha = origin.git("rev-parse", "HEAD")
    await mirror.ensure(origin.repository, sha, "refs/heads/main")
    made = tmp_path / "repositories" / "octo" / "hello.git"
    assert (made / "HEAD").is_file()
    assert not list(made.parent.glob("*~partial"))
    assert mirror.present(origin.repository, sha).git_dir == made


async def test_ensure_commit_pushed_later_fetches_it(origin, mirror):
    await mirror.ensure(origin.repository, origin.git("rev-parse", "HEAD"), "refs/heads/main")
    origin.write("a", "1")
    sha = origin.commit()
    await mirror.ensure(origin.repository, sha, "refs/heads/main")
    assert await mirror.resolve(origin.repository, "refs/heads/main") == sha


async def test_ensure_commit_that_left_its_ref_is_fetched_by_id(origin, mirror):
    await mirror.ensure(origin.repository, origin.git("rev-parse", "HEAD"), "refs/heads/main")
    origin.write("a", "1")
    lost = origin.commit()
    origin.git("reset", "-q", "--hard", "HEAD~1")
    await mirror.ensure(origin.repository, lost, "refs/heads/main")
    assert mirror.present(origin.repository, lost)


async def test_ensure_pull_request_merge_ref_is_fetched(origin, mirror):
    origin.git("checkout", "-q", "--detach")
    origin.write("a", "1")
    sha = origin.commit()
    origin.git("update-ref", "refs/pull/7/merge", sha)
    origin.git("checkout", "-q", "main")
    await mirror.ensure(origin.repository, sha, "refs/pull/7/merge")


async def test_ensure_branch_that_became_a_folder_is_fetched(origin, mirror):
    origin.git("branch", "a")
    await mirror.ensure(origin.repository, origin.git("rev-parse", "HEAD"), "refs/heads/a")
    assert await mirror.resolve(origin.repository, "refs/heads/a")
    origin.git("branch", "-D", "a")
    origin.write("x", "1")
    sha = origin.commit()
    origin.git("branch", "a/b")
    await mirror.ensure(origin.repository, sha, "refs/heads/a/b")
    assert await mirror.resolve(origin.repository, "refs/heads/a/b") == sha
    await mirror.refresh(origin.repository)


async def test_ensure_missing_commit_fails_closed(origin, mirror):
    with pytest.raises(CheckoutError, match=f"commit {MISSING} does not exist in 'octo/hello'"):
        await mirror.ensure(origin.repository, MISSING, "refs/heads/main")


async def test_ensure_object_that_is_no_commit_is_refused(origin, mirror):
    blob = origin.git("rev-parse", "HEAD:README.md")
    with pytest.raises(CheckoutError, match="is a blob, expected a commit"):
        await mirror.ensure(origin.repository, blob, "refs/heads/main")


@pytest.mark.parametrize("sha", ["HEAD", "main", "--help", "abc", "D" * 40, "d" * 39, ""])
async def test_ensure_bad_commit_name_is_refused(origin, mirror, sha):
    with pytest.raises(CheckoutError, match="expected 40"):
        await mirror.ensure(origin.repository, sha, "refs/heads/main")


@pytest.mark.parametrize("name", ["../x", "a/..", "a", "a/b/c", "-a/b", "a/b.git", "/etc/x", "a/b\n"])
async def test_ensure_hostile_repository_name_is_refused(origin, mirror, name, tmp_path):
    repository = Repository(full_name=name, clone_url=origin.repository.clone_url, default_branch="main")
    with pytest.raises(CheckoutError, match="found the repository"):
        await mirror.ensure(repository, MISSING, "")
    assert not (tmp_path / "repositories").exists()


@pytest.mark.parametrize(
    "url", ["ext::sh -c touch% /tmp/x", "--upload-pack=x", "http://h/a.git", "https://u:p@h/a.git", "git@h:a/b", "/tmp"]
)
async def test_ensure_clone_url_of_another_kind_is_refused(mirror, url):
    repository = Repository(full_name="octo/hello", clone_url=url, default_branch="main")
    with pytest.raises(CheckoutError, match="clone URL"):
        await mirror.ensure(repository, MISSING, "")


async def test_ensure_file_url_without_permission_is_refused(origin, tmp_path, make):
    with pytest.raises(CheckoutError, match="file URL, which the settings forbid"):
        await make(allow_file_urls=False).ensure(origin.repository, MISSING, "")


async def test_ensure_absent_repository_is_told_and_leaves_nothing(mirror, tmp_path):
    gone = Repository(full_name="octo/gone", clone_url=f"file://{tmp_path}/gone", default_branch="main")
    with pytest.raises(CheckoutError, match="could not mirror 'octo/gone'"):
        await mirror.ensure(gone, MISSING, "")
    assert os.listdir(tmp_path / "repositories" / "octo") == []


async def test_ensure_unreachable_server_may_be_tried_again(make):
    repository = Repository(full_name="octo/hello", clone_url="https://127.0.0.1:1/octo/hello.git", default_branch="x")
    with pytest.raises(InfrastructureError) as caught:
        await make(server_url="https://127.0.0.1:1").ensure(repository, MISSING, "")
    assert caught.value.retryable


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1:1/octo/hello.git",
        "https://github.com.evil.example/octo/hello.git",
        "https://github.com:8443/octo/hello.git",
        "https://github.com/evil/hello.git",
        "https://github.com/octo/hello.git/..",
    ],
)
async def test_ensure_clone_url_of_another_server_or_repository_is_refused(mirror, url):
    repository = Repository(full_name="octo/hello", clone_url=url, default_branch="main")
    with pytest.raises(CheckoutError, match=r"expected 'https://github\.com/octo/hello\.git'"):
        await mirror.ensure(repository, MISSING, "")


async def test_fetches_in_great_number_leave_few_packs_and_every_commit(origin, mirror, tmp_path, monkeypatch):
    monkeypatch.setattr(repositories, "_MAX_PACKS", 4)
    made = []
    for number in range(12):
        origin.write("a", str(number))
        made.append(origin.commit())
        await mirror.ensure(origin.repository, made[-1], "refs/heads/main")
        origin.git("reset", "-q", "--hard", "HEAD~1")
    packs = list((tmp_path / "repositories" / "octo" / "hello.git").glob("objects/pack/*.pack"))
    assert len(packs) <= 5
    origin.path.rename(tmp_path / "away")
    for sha in made:
        await mirror.ensure(origin.repository, sha, "")


async def test_fetch_after_a_git_that_was_killed_clears_what_it_left(origin, mirror, tmp_path):
    await mirror.ensure(origin.repository, origin.git("rev-parse", "HEAD"), "refs/heads/main")
    assert await mirror.resolve(origin.repository, "refs/heads/main")
    git_dir = tmp_path / "repositories" / "octo" / "hello.git"
    (ref,) = (path for path in git_dir.glob("refs/terraphim/*") if path.name != "commit")
    left = [ref.with_name(f"{ref.name}.lock"), git_dir / "packed-refs.lock", git_dir / "objects/pack/tmp_pack_x"]
    for path in left:
        path.write_bytes(b"x")
    origin.write("a", "1")
    sha = origin.commit()
    assert await mirror.resolve(origin.repository, "refs/heads/main") == sha
    assert not any(path.exists() for path in left)


async def test_ensure_after_a_crash_while_mirroring_starts_anew(origin, mirror, tmp_path):
    partial = tmp_path / "repositories" / "octo" / "hello.git~partial"
    partial.mkdir(parents=True)
    (partial / "HEAD").write_text("garbage")
    await mirror.ensure(origin.repository, origin.git("rev-parse", "HEAD"), "refs/heads/main")
    assert not partial.exists()


async def test_ensure_two_at_once_in_two_processes_mirror_once(origin, make):
    sha = origin.git("rev-parse", "HEAD")
    first, second = make(), make()  # two mirrors share no lock but the file's, as two processes do
    async with anyio.create_task_group() as tasks:
        for mirror in (first, second, first):
            tasks.start_soon(mirror.ensure, origin.repository, sha, "refs/heads/main")
    assert first.present(origin.repository, sha) == second.present(origin.repository, sha)


@pytest.mark.parametrize("place", ["octo/hello.git", "octo/hello"])
@pytest.mark.parametrize("bare", [True, False])
async def test_ensure_placed_repository_is_used_as_it_is(origin, mirror, tmp_path, place, bare):
    sha = origin.git("rev-parse", "HEAD")
    target = tmp_path / "repositories" / place
    target.parent.mkdir(parents=True)
    origin.git("clone", "-q", *(["--bare"] if bare else []), str(origin.path), str(target))
    await mirror.ensure(origin.repository, sha, "refs/heads/main")
    assert await mirror.resolve(origin.repository, "refs/heads/main") == sha
    origin.write("a", "1")
    newer = origin.commit()
    before = listing(target)
    with pytest.raises(CheckoutError, match="used as it is"):
        await mirror.ensure(origin.repository, newer, "refs/heads/main")
    assert listing(target) == before


async def test_ensure_folder_that_is_no_repository_is_told(origin, mirror, tmp_path):
    (tmp_path / "repositories" / "octo" / "hello").mkdir(parents=True)
    with pytest.raises(CheckoutError, match="no git repository"):
        await mirror.ensure(origin.repository, MISSING, "")


async def test_ensure_empty_folder_inside_a_checkout_does_not_become_that_checkout(origin, make, tmp_path):
    sha = origin.git("rev-parse", "HEAD")
    os.rename(origin.path, tmp_path / "repositories")
    (tmp_path / "repositories" / "octo" / "hello.git").mkdir(parents=True)
    with pytest.raises(CheckoutError):
        await make().ensure(origin.repository, sha, "")


async def test_ensure_present_commit_costs_ten_milliseconds_at_most(origin, mirror):
    sha = origin.git("rev-parse", "HEAD")
    await mirror.ensure(origin.repository, sha, "refs/heads/main")
    times = []
    for _ in range(9):
        start = time.perf_counter()
        await mirror.ensure(origin.repository, sha, "refs/heads/main")
        times.append(time.perf_counter() - start)
    assert min(times) < 0.010


async def test_resolve_missing_ref_is_told(origin, mirror):
    with pytest.raises(CheckoutError, match="ref 'refs/heads/gone' does not exist in 'octo/hello'"):
        await mirror.resolve(origin.repository, "refs/heads/gone")


@pytest.mark.parametrize(
    "ref", ["main", "refs/heads/a..b", "refs/heads/a b", "refs/heads/a^{}", "--all", "refs/heads/"]
)
async def test_resolve_hostile_ref_is_refused(origin, mirror, ref):
    with pytest.raises(CheckoutError, match="found the ref"):
        await mirror.resolve(origin.repository, ref)


async def test_resolve_annotated_tag_gives_its_commit(origin, mirror):
    origin.git("tag", "-a", "v1", "-m", "one")
    assert await mirror.resolve(origin.repository, "refs/tags/v1") == origin.git("rev-parse", "HEAD")


async def test_changed_files_of_a_push_are_those_that_differ(origin, mirror):
    before = origin.git("rev-parse", "HEAD")
    origin.write("src/ä\n.py", "1")
    origin.git("mv", "README.md", "READ.me")
    sha = origin.commit()
    await mirror.ensure(origin.repository, sha, "refs/heads/main")
    found = await mirror.changed_files(origin.repository, before, sha)
    assert set(found or ()) == {"src/ä\n.py", "README.md", "READ.me"}


@pytest.mark.parametrize("before", [None, "0" * 40, MISSING])
async def test_changed_files_since_an_unknown_commit_cannot_be_told(origin, mirror, before):
    sha = origin.git("rev-parse", "HEAD")
    await mirror.ensure(origin.repository, sha, "refs/heads/main")
    assert await mirror.changed_files(origin.repository, before, sha) is None


async def test_changed_files_since_the_merge_base_leave_out_the_base_branch(origin, mirror):
    origin.git("checkout", "-q", "-b", "topic")
    origin.write("topic", "1")
    head = origin.commit()
    origin.git("checkout", "-q", "main")
    origin.write("base", "1")
    base = origin.commit()
    await mirror.ensure(origin.repository, head, "refs/heads/topic")
    assert await mirror.changed_files(origin.repository, base, head, since_merge_base=True) == ("topic",)


async def test_git_with_a_token_shows_it_neither_in_argv_nor_in_errors():
    secret = Secret("ghs_topsecret")
    credential = Credential(server_url="https://127.0.0.1:1", token=secret)
    git = Git(timeout_s=10, protocols=("https",), credential=credential)
    answer = await git.run("config", "--get-urlmatch", "http.extraHeader", "https://127.0.0.1:1/o/r.git")
    assert answer.stdout.startswith(b"Authorization: Basic ")
    other = await git.run("config", "--get-urlmatch", "http.extraHeader", "https://elsewhere.example/o/r.git")
    assert other.stdout == b""
    assert "ghs_topsecret" not in credential.redact("fatal: ghs_topsecret")
    assert "topsecret" not in repr(credential)


async def test_git_that_hangs_is_killed_at_the_deadline(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with pytest.raises(InfrastructureError, match="took more than"):
        await Git(timeout_s=0.2).run("hash-object", "--no-filters", str(fifo))
    assert children() == []


def sleepers(seconds):
    found = psutil.process_iter(["cmdline"])
    return [process for process in found if process.info["cmdline"] == ["sleep", seconds]]


@pytest.mark.parametrize("steps", range(8))
async def test_program_that_is_cancelled_while_it_is_opened_ends_with_its_group(steps):
    seconds = f"9876{os.getpid()}{steps}"
    async with anyio.create_task_group() as tasks:
        script = f"sleep {seconds} & wait"
        tasks.start_soon(partial(run_program, ["sh", "-c", script], environment=dict(os.environ), timeout_s=20))
        for _ in range(steps):
            await anyio.lowlevel.checkpoint()
        # The loop stands still meanwhile: however far the opening came, the program now has a child, if it runs.
        deadline = time.monotonic() + 0.3
        while time.monotonic() < deadline and not sleepers(seconds):
            continue
        tasks.cancel_scope.cancel()
    assert sleepers(seconds) == []


async def test_git_that_is_cancelled_is_killed(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Git(timeout_s=20).run, "hash-object", "--no-filters", str(fifo))
        with anyio.fail_after(10):
            while not children():
                await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    assert children() == []


async def test_git_that_prints_too_much_is_stopped(origin):
    with pytest.raises(OutputTooLargeError):
        await Git(timeout_s=20).run(f"--git-dir={origin.path}/.git", "rev-list", "--all", max_bytes=10)
    assert children() == []


async def test_git_that_writes_too_large_a_file_is_stopped(origin):
    origin.write("big", os.urandom(300_000))
    limited = Git(timeout_s=20, max_file_bytes=100_000)
    answer = await limited.run(f"--git-dir={origin.path}/.git", "hash-object", "-w", f"{origin.path}/big")
    assert answer.code != 0


async def test_git_that_is_not_installed_is_told(tmp_path):
    with pytest.raises(InfrastructureError, match="apt-get install nogit"):
        await run_program([str(tmp_path / "nogit")], environment={}, timeout_s=1)
