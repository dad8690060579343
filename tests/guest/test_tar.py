"""The tar reader: what ``tarfile`` writes arrives, however it is cut; damaged streams raise, and nothing else."""

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terraphim_runner.guest import tar

name = st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1, max_size=60).filter(
    lambda text: text not in (".", "..")
)
path = st.lists(name, min_size=1, max_size=6).map("/".join)


class Collector:
    def __init__(self) -> None:
        self.members: list[tuple[str, str, bytes, str]] = []
        self._entry: tar.Entry | None = None
        self._content = bytearray()
        self.reader = tar.TarReader(self._begin, self._content.extend, self._end)

    def _begin(self, entry: tar.Entry) -> None:
        self._entry = entry
        self._content.clear()

    def _end(self) -> None:
        assert self._entry is not None
        self.members.append((self._entry.path, self._entry.kind, bytes(self._content), self._entry.target))


def write(files: list[tuple[str, bytes]], form: int) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=form) as archive:
        for path, content in files:
            info = tarfile.TarInfo(path)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return target.getvalue()


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@given(files=st.lists(st.tuples(path, st.binary(max_size=1500)), max_size=5), step=st.integers(1, 3000))
def test_reader_any_archive_in_any_pieces_arrives(form: int, files: list[tuple[str, bytes]], step: int) -> None:
    data = write(files, form)
    found = Collector()
    for start in range(0, len(data), step):
        found.reader.feed(data[start : start + step])
    assert found.members == [(path, tar.FILE, content, "") for path, content in files]
    assert found.reader.is_complete


@given(st.binary(max_size=2000))
def test_reader_any_bytes_raise_tar_error_or_nothing(data: bytes) -> None:
    found = Collector()
    try:
        found.reader.feed(data)
    except tar.TarError as error:
        assert str(error)  # noqa: PT017 - that it is this error is what is tested


@given(st.integers(0, 511), st.integers(0, 255))
def test_reader_any_damage_to_a_header_raises_tar_error_or_nothing(position: int, value: int) -> None:
    data = bytearray(write([("a/file", b"content")], tarfile.GNU_FORMAT))
    data[position] = value
    found = Collector()
    try:
        found.reader.feed(bytes(data))
    except tar.TarError:
        assert not found.members
