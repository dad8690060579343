"""``hashFiles`` on a real directory."""

import hashlib
from pathlib import Path

import pytest

from terraphim_runner.guest.hash_files import HashFilesError, hash_files

FILES = (
    ".hidden.lock",
    "a.lock",
    "b.txt",
    "node_modules/x/a.lock",
    "odd[1].lock",
    "src/a.lock",
    "src/deep/B.lock",
    "src/deep/er/a.lock",
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
    digests = b"".join(hashlib.sha256(f"content of {name}".encode()).digest() for name in names)
    return hashlib.sha256(digests).hexdigest()


LOCKS = tuple(name for name in FILES if name.endswith(".lock"))


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        (["a.lock"], ["a.lock"]),
        (["./a.lock"], ["a.lock"]),
        (["*.lock"], [".hidden.lock", "a.lock", "odd[1].lock"]),
        (["**/*.lock"], LOCKS),
        (["**"], FILES),
        (["."], FILES),
        (["**/a.lock"], ["a.lock", "node_modules/x/a.lock", "src/a.lock", "src/deep/er/a.lock"]),
        (["src/**/a.lock"], ["src/a.lock", "src/deep/er/a.lock"]),
        (["src/*/B.lock"], ["src/deep/B.lock"]),
        (["src/*/b.lock"], []),
        (["?.lock"], ["a.lock"]),
        (["[ab].*"], ["a.lock", "b.txt"]),
        (["[!a].txt"], ["b.txt"]),
        (["[^a].txt"], ["b.txt"]),
        (["odd[[]1].lock"], ["odd[1].lock"]),
        (["odd\\[1].lock"], ["odd[1].lock"]),
        (["o?d\\[[0-2]].lock"], ["odd[1].lock"]),
        (["odd[1].lock", "[z-a].lock", "[a.lock", "\\*.lock", "*["], []),
        (["[^b-z][!a-z]lock"], ["a.lock"]),
        (["b.txt/**"], ["b.txt"]),
        (["b.txt/**/"], []),
        (["src/**/"], ["src/a.lock", "src/deep/B.lock", "src/deep/er/a.lock"]),
        (["***/B.lock", "!!src/a.lock"], ["src/a.lock"]),
        (["src"], ["src/a.lock", "src/deep/B.lock", "src/deep/er/a.lock"]),
        (["src/"], ["src/a.lock", "src/deep/B.lock", "src/deep/er/a.lock"]),
        (["a.lock/"], []),
        (["s*/deep"], ["src/deep/B.lock", "src/deep/er/a.lock"]),
        (["a.lock", "b.txt"], ["a.lock", "b.txt"]),
        (["b.txt", "a.lock"], ["b.txt", "a.lock"]),
        (
            ["src/deep", "b.txt", "src", "a.lock"],
            ["b.txt", "src/a.lock", "src/deep/B.lock", "src/deep/er/a.lock", "a.lock"],
        ),
        (["src/deep", "b.txt", "*.txt"], ["b.txt", "src/deep/B.lock", "src/deep/er/a.lock"]),
        (["a.lock", "*.lock"], [".hidden.lock", "a.lock", "odd[1].lock"]),
        (["a.lock\n# comment\n\n  b.txt"], ["a.lock", "b.txt"]),
        (["**/*.lock", "!node_modules", "!.hidden.lock", "!odd*"], ["a.lock", *(n for n in FILES if n[:4] == "src/")]),
        (["**/a.lock", "!src/**", "src/a.lock"], ["a.lock", "node_modules/x/a.lock", "src/a.lock"]),
        (["!**", "b.txt"], ["b.txt"]),
        (["none", "**/none"], []),
        (["!a.lock"], []),
    ],
)
def test_patterns_choose_files_as_github_does(workspace: Path, patterns: list[str], names: list[str]) -> None:
    assert hash_files(workspace, patterns) == (expected(*names) if names else "")


def test_files_come_as_they_are_met_a_directory_with_all_that_is_below_it(tmp_path: Path) -> None:
    names = ("a/z", "a-b/x", "a.txt", "B", "é", "z")
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(f"content of {name}".encode())
    assert hash_files(tmp_path, ["**"]) == expected("B", "a/z", "a-b/x", "a.txt", "z", "é")


def test_absolute_pattern_finds_what_is_inside_of_the_workspace_and_nothing_else(workspace: Path) -> None:
    for pattern in (f"{workspace}/*.txt", f"{workspace.parent}/*/b.txt", "/**/b.txt"):
        assert hash_files(workspace, [pattern]) == expected("b.txt")
    for pattern in ("/etc/passwd", f"{workspace}-other/x", f"{workspace.parent}/*.lock", "~/.profile"):
        assert hash_files(workspace, [pattern]) == ""


@pytest.mark.parametrize("pattern", ["../outside.lock", "src/../a.lock", "src/./a.lock", "..", "././a.lock"])
def test_pattern_with_dots_is_an_error(workspace: Path, pattern: str) -> None:
    with pytest.raises(HashFilesError, match=r"'\.' or '\.\.'"):
        hash_files(workspace, [pattern])


def test_option_is_known_whatever_its_case_and_only_as_the_first_argument(workspace: Path) -> None:
    assert hash_files(workspace, ["--Follow-Symbolic-Links", "b.txt"]) == expected("b.txt")
    assert hash_files(workspace, ["b.txt", "--follow-symbolic-links"]) == expected("b.txt")
    with pytest.raises(HashFilesError, match="'--hidden'"):
        hash_files(workspace, ["--hidden", "b.txt"])


def test_directory_in_which_nothing_can_match_is_not_entered(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("terraphim_runner.guest.hash_files.MAX_VISITED", 7)
    assert hash_files(workspace, ["*.txt", "src/*.lock"]) == expected("b.txt", "src/a.lock")
    with pytest.raises(HashFilesError, match="looked at more than"):
        hash_files(workspace, ["**"])


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
