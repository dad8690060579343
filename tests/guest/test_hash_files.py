"""``hashFiles`` on a real directory."""

import hashlib
from pathlib import Path

import pytest

from terraphim_runner.guest.hash_files import HashFilesError, hash_files

FILES = (
    "a.lock",
    "b.txt",
    ".hidden.lock",
    "src/a.lock",
    "src/deep/er/a.lock",
    "src/deep/B.lock",
    "node_modules/x/a.lock",
    "odd[1].lock",
)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    root = tmp_path / "workspace"
    for name in FILES:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"content of {name}".encode())
    (tmp_path / "outside.lock").write_bytes(b"outside")
    return root


def expected(*names: str) -> str:
    digests = b"".join(hashlib.sha256(f"content of {name}".encode()).digest() for name in sorted(names))
    return hashlib.sha256(digests).hexdigest()


LOCKS = tuple(name for name in FILES if name.endswith(".lock"))


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        (["a.lock"], ["a.lock"]),
        (["./a.lock"], ["a.lock"]),
        (["*.lock"], ["a.lock", ".hidden.lock", "odd[1].lock"]),
        (["**/*.lock"], LOCKS),
        (["**"], FILES),
        (["."], FILES),
        (["**/a.lock"], ["a.lock", "src/a.lock", "src/deep/er/a.lock", "node_modules/x/a.lock"]),
        (["src/**/a.lock"], ["src/a.lock", "src/deep/er/a.lock"]),
        (["src/*/B.lock"], ["src/deep/B.lock"]),
        (["src/*/b.lock"], []),
        (["?.lock"], ["a.lock"]),
        (["[ab].*"], ["a.lock", "b.txt"]),
        (["[!a].txt"], ["b.txt"]),
        (["[^a].txt"], ["b.txt"]),
        (["odd[[]1].lock"], ["odd[1].lock"]),
        (["src"], ["src/a.lock", "src/deep/er/a.lock", "src/deep/B.lock"]),
        (["src/"], ["src/a.lock", "src/deep/er/a.lock", "src/deep/B.lock"]),
        (["a.lock/"], []),
        (["s*/deep"], ["src/deep/er/a.lock", "src/deep/B.lock"]),
        (["a.lock", "b.txt"], ["a.lock", "b.txt"]),
        (["b.txt", "a.lock"], ["a.lock", "b.txt"]),
        (["a.lock", "*.lock"], ["a.lock", ".hidden.lock", "odd[1].lock"]),
        (["a.lock\n# comment\n\n  b.txt"], ["a.lock", "b.txt"]),
        (["**/*.lock", "!node_modules", "!.hidden.lock", "!odd*"], ["a.lock", *(n for n in FILES if n[:4] == "src/")]),
        (["**/a.lock", "!src/**", "src/a.lock"], ["a.lock", "src/a.lock", "node_modules/x/a.lock"]),
        (["!**", "b.txt"], ["b.txt"]),
        (["none", "**/none"], []),
        (["!a.lock"], []),
    ],
)
def test_patterns_choose_files_as_github_does(workspace: Path, patterns: list[str], names: list[str]) -> None:
    assert hash_files(workspace, patterns) == (expected(*names) if names else "")


def test_absolute_pattern_inside_of_the_workspace_is_legal_and_others_are_errors(workspace: Path) -> None:
    assert hash_files(workspace, [f"{workspace}/*.txt"]) == expected("b.txt")
    for pattern in ("/etc/passwd", f"{workspace}-other/x", "../outside.lock", "src/../../outside.lock"):
        with pytest.raises(HashFilesError, match="inside of the workspace"):
            hash_files(workspace, [pattern])


def test_links_lead_neither_out_of_the_workspace_nor_in_circles(workspace: Path) -> None:
    (workspace / "out.lock").symlink_to(workspace.parent / "outside.lock")
    (workspace / "out").symlink_to(workspace.parent)
    (workspace / "src" / "loop").symlink_to(workspace)
    (workspace / "nowhere.lock").symlink_to("nowhere")
    (workspace / "self.lock").symlink_to("self.lock")
    assert hash_files(workspace, ["**/*.lock"]) == expected(*LOCKS)
    assert hash_files(workspace, ["out/**"]) == ""
    assert hash_files(workspace, ["--follow-symbolic-links", "**/*.lock"]) == expected(*LOCKS)


def test_linked_directory_inside_of_the_workspace_is_entered_only_when_asked(workspace: Path) -> None:
    target = workspace / "target"
    target.mkdir()
    (target / "x.md").write_bytes(b"content of link/x.md")
    (workspace / "link").symlink_to("target")
    assert hash_files(workspace, ["link/*.md"]) == ""
    assert hash_files(workspace, ["--follow-symbolic-links", "link/*.md"]) == expected("link/x.md")
    both = hashlib.sha256(2 * hashlib.sha256(b"content of link/x.md").digest()).hexdigest()
    assert hash_files(workspace, ["--follow-symbolic-links", "**/*.md"]) == both


def test_pattern_with_many_stars_is_matched_quickly(workspace: Path) -> None:
    (workspace / ("a" * 200)).write_bytes(b"")
    assert hash_files(workspace, ["*a" * 30 + "b", "**/" * 50 + "*a" * 30 + "b"]) == ""
