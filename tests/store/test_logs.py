import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terraphim_runner.model.ids import JobId, RunId
from terraphim_runner.model.job import LogKind, LogLine
from terraphim_runner.store.logs import LogStore, as_text

RUN, JOB = RunId("3"), JobId("7")
AT = datetime(2026, 3, 4, 5, 6, 7, 89, tzinfo=UTC)


def _line(text: str, kind: LogKind = LogKind.OUTPUT) -> LogLine:
    return LogLine(at=AT, step=1, text=text, kind=kind)


def _store(folder: Path, limit_bytes: int = 1_000_000) -> LogStore:
    return LogStore(folder / "logs", limit_bytes=limit_bytes)


def _append(store: LogStore, *texts: str) -> None:
    writer = store.writer(RUN, JOB)
    writer.append([_line(text) for text in texts])
    writer.close()


def _texts(store: LogStore, after: int = 0, max_bytes: int = 1_000_000) -> list[str]:
    return [line.text for line in store.read(RUN, JOB, after=after, max_bytes=max_bytes).lines]


def test_log_that_was_never_written_is_empty(tmp_path: Path) -> None:
    found = _store(tmp_path).read(RUN, JOB, max_bytes=100)
    assert (found.lines, found.next) == ((), 0)


def test_log_is_private(tmp_path: Path) -> None:
    store = _store(tmp_path)
    _append(store, "x")
    assert stat.S_IMODE(store.path(RUN, JOB).stat().st_mode) == 0o600


def test_log_followed_by_offset_gives_each_line_once(tmp_path: Path) -> None:
    store = _store(tmp_path)
    seen: list[str] = []
    offset = 0
    for number in range(5):
        _append(store, f"a{number}", f"b{number}")
        found = store.read(RUN, JOB, after=offset, max_bytes=10_000)
        seen += [line.text for line in found.lines]
        offset = found.next
    assert seen == [f"{name}{number}" for number in range(5) for name in "ab"]
    assert store.read(RUN, JOB, after=offset, max_bytes=10_000).lines == ()


def test_log_read_in_small_pieces_ends_on_whole_lines(tmp_path: Path) -> None:
    store = _store(tmp_path)
    _append(store, *(f"line {number}" for number in range(20)))
    seen: list[str] = []
    offset = 0
    while True:
        found = store.read(RUN, JOB, after=offset, max_bytes=200)
        if found.next == offset:
            break
        seen += [line.text for line in found.lines]
        offset = found.next
    assert seen == [f"line {number}" for number in range(20)]


def test_log_offset_within_a_line_goes_on_with_the_next_one(tmp_path: Path) -> None:
    store = _store(tmp_path)
    _append(store, "one", "two", "three")
    assert _texts(store, after=5) == ["two", "three"]
    assert _texts(store, after=10**9) == []


def test_log_cut_off_by_a_crash_is_read_and_goes_on(tmp_path: Path) -> None:
    store = _store(tmp_path)
    _append(store, "one", "two")
    path = store.path(RUN, JOB)
    path.write_bytes(path.read_bytes()[:-10])
    assert _texts(store) == ["one"]
    _append(store, "three")
    assert _texts(store) == ["one", "three"]


def test_log_over_its_limit_is_cut_with_one_notice(tmp_path: Path) -> None:
    store = _store(tmp_path, limit_bytes=1000)
    for _ in range(3):
        _append(store, *("x" * 50 for _ in range(20)))
    found = store.read(RUN, JOB, max_bytes=100_000)
    assert found.next < 1300
    notices = [line for line in found.lines if line.kind is LogKind.NOTICE]
    assert ["limit of 1000 bytes" in line.text for line in notices] == [True]


def test_line_as_text_has_githubs_form() -> None:
    assert as_text(_line("hi")) == "2026-03-04T05:06:07.0000890Z hi"
    assert as_text(_line("careful", LogKind.WARNING)).endswith("Z ##[warning]careful")


@pytest.mark.parametrize("name", ["../7", "7/../8", "", "x"])
def test_log_of_a_job_that_is_no_number_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        _store(tmp_path).path(RUN, JobId(name))


@settings(deadline=None)
@given(texts=st.lists(st.text(alphabet=st.characters(exclude_categories=("Cs",)))), junk=st.binary(max_size=60))
def test_log_of_any_text_is_read_whatever_stands_between(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], junk: bytes
) -> None:
    store = _store(tmp_path_factory.mktemp("log"))
    _append(store, "first")
    with store.path(RUN, JOB).open("ab") as file:
        file.write(junk)
    _append(store, *texts)
    found = _texts(store)
    assert found[0] == "first"
    assert found[len(found) - len(texts) :] == texts


def test_log_leaves_room_on_the_disk_for_the_verdict(tmp_path: Path) -> None:
    writer = LogStore(tmp_path, limit_bytes=1_000, reserved_bytes=1 << 60).writer(RUN, JOB)
    with pytest.raises(OSError, match="No space left"):
        writer.append([_line("one")])
    writer.close()
