"""Called workflow files of a checkout."""

import os
from pathlib import Path

import pytest

from terraphim_runner.cli.working_files import read_working_file

PATH = ".github/workflows/build.yml"


@pytest.fixture
def checkout(tmp_path):
    folder = tmp_path / "checkout/.github/workflows"
    folder.mkdir(parents=True)
    (folder / "build.yml").write_text("\ufeffbuild\n")
    return tmp_path / "checkout"


def test_working_file_is_read_as_it_lies_there(checkout):
    assert read_working_file(checkout, PATH).text == "build\n"


def test_working_file_that_is_not_there_names_those_that_are(checkout):
    (checkout / ".github/workflows/notes.txt").write_text("")
    assert read_working_file(checkout, ".github/workflows/a\0b.yml").error == "there is no such file"
    too_long = read_working_file(checkout, f".github/workflows/{'x' * 300}.yml")
    assert too_long.error == "it cannot be read: File name too long"
    assert read_working_file(checkout, ".github/workflows/gone.yml").known == (PATH,)


def test_working_file_outside_of_the_folder_is_not_read(checkout):
    (checkout / "x.yml").write_text("x")
    for path in ("x.yml", ".github/workflows/../../x.yml", "/etc/passwd", ".github/workflows/sub/x.yml"):
        assert read_working_file(checkout, path).error == "there is no such file"


def test_working_file_behind_a_link_is_not_read(checkout, tmp_path):
    (tmp_path / "secret.yml").write_text("secret")
    (checkout / ".github/workflows/link.yml").symlink_to(tmp_path / "secret.yml")
    found = read_working_file(checkout, ".github/workflows/link.yml")
    assert found.error == "it is not a regular file: symbolic links are not followed"


def test_working_folder_behind_a_link_is_not_read(checkout, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/.github").symlink_to(checkout / ".github")
    found = read_working_file(tmp_path / "elsewhere", PATH)
    assert "there is no folder '.github/workflows'" in found.error


def test_working_file_of_a_wrong_kind_is_told(checkout):
    folder = checkout / ".github/workflows"
    os.mkfifo(folder / "pipe.yml")
    (folder / "folder.yml").mkdir()
    (folder / "large.yml").write_bytes(b"#" * (1024 * 1024 + 1))
    (folder / "binary.yml").write_bytes(b"a\xff")
    said = {
        "pipe.yml": "it is not a regular file",
        "folder.yml": "it is not a regular file",
        "large.yml": "it has more than 1048576 bytes",
        "binary.yml": "it is not UTF-8: byte 1 is invalid start byte",
    }
    assert {name: read_working_file(checkout, f".github/workflows/{name}").error for name in said} == said


def test_working_checkout_that_is_gone_has_no_files():
    assert "there is no folder" in read_working_file(Path("/nonexistent"), PATH).error
