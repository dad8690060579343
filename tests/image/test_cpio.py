import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terraphim_runner.providers.image.cpio import character_device, directory, file, write_cpio

pytestmark = pytest.mark.skipif(shutil.which("cpio") is None, reason="cpio is not installed")


def cpio(archive, *arguments, cwd=None):
    result = subprocess.run(["cpio", "--quiet", *arguments], input=archive, capture_output=True, check=True, cwd=cwd)
    return result.stdout.decode()


def test_cpio_listing_has_types_modes_and_sizes():
    archive = write_cpio(
        [directory("dev"), character_device("dev/console", 5, 1), file("init", b"#!x", executable=True), file("a", b"")]
    )
    lines = [line.split() for line in cpio(archive, "-tv").splitlines()]
    assert [(line[0], line[-1]) for line in lines] == [
        ("drwxr-xr-x", "dev"),
        ("crw-------", "dev/console"),
        ("-rwxr-xr-x", "init"),
        ("-rw-r--r--", "a"),
    ]
    assert lines[1][4:6] == ["5,", "1"]


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_cpio_contents_come_back_and_the_length_is_padded(contents):
    archive = write_cpio([file(f"file{'x' * number}", content) for number, content in enumerate(contents)])
    assert len(archive) % 4 == 0
    with tempfile.TemporaryDirectory() as target:
        cpio(archive, "-id", cwd=target)
        assert [(Path(target) / f"file{'x' * number}").read_bytes() for number in range(len(contents))] == contents


def test_cpio_of_the_same_entries_is_the_same_bytes():
    assert write_cpio([file("a", b"1")]) == write_cpio([file("a", b"1")])


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", ""])
def test_cpio_path_outside_of_the_archive_is_refused(path):
    with pytest.raises(ValueError, match="not a relative path"):
        write_cpio([file(path, b"")])


def test_cpio_path_twice_is_refused():
    with pytest.raises(ValueError, match="'a' comes twice"):
        write_cpio([file("a", b"1"), file("a", b"2")])
