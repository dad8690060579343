"""Payloads: every pair of encode and decode agrees, and damaged ones are refused."""

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terraphim_runner.wire import frames, messages

text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
name = st.text(st.characters(exclude_characters="\0=", exclude_categories=["Cs"]), min_size=1, max_size=10)


@given(argv=st.lists(text, min_size=1, max_size=5), env=st.dictionaries(name, text, max_size=5), cwd=text, user=text)
def test_exec_any_command_survives(argv: list[str], env: dict[str, str], cwd: str, user: str) -> None:
    form = messages.Exec(argv, env, cwd, user, has_stdin=True)
    found = messages.decode_exec(messages.encode_exec(form))
    assert (found.argv, found.env, found.cwd, found.user, found.has_stdin) == (argv, env, cwd, user, True)


def test_exec_undecodable_file_name_survives() -> None:
    argv = ["cat", b"\xff\xfe".decode("utf-8", "surrogateescape")]
    assert messages.decode_exec(messages.encode_exec(messages.Exec(argv, {}, "/", "", has_stdin=False))).argv == argv


def test_exec_nul_in_an_argument_is_refused() -> None:
    with pytest.raises(ValueError, match="NUL"):
        messages.encode_exec(messages.Exec(["a\0b"], {}, "/", "", has_stdin=False))


@given(st.integers(-64, 255))
def test_exit_any_status_survives(status: int) -> None:
    assert messages.decode_exit(messages.encode_exit(status)) == status


@given(path=text, owner=text, mode=st.integers(0, 0o7777), size=st.integers(0, 2**63))
def test_write_any_file_survives(path: str, owner: str, mode: int, size: int) -> None:
    assert messages.decode_write(messages.encode_write(path, owner, mode, size)) == (path, owner, mode, size)


@given(path=text, limit=st.integers(0, 2**63))
def test_read_any_request_survives(path: str, limit: int) -> None:
    assert messages.decode_read(messages.encode_read(path, limit)) == (path, limit)


@given(entropy=st.binary(max_size=256), time_ns=st.integers(0, 2**63))
def test_resume_any_duties_survive(entropy: bytes, time_ns: int) -> None:
    duties = messages.Resume(time_ns=time_ns, entropy=entropy, hostname="vm-1", machine_id="0" * 32)
    found = messages.decode_resume(messages.encode_resume(duties))
    assert (found.entropy, found.time_ns, found.hostname) == (entropy, time_ns, "vm-1")


def test_fail_reason_of_the_guests_choice_is_made_printable() -> None:
    code, reason = messages.decode_fail(messages.encode_fail(messages.REFUSED, "a\x1b[31mb\nc" + "x" * 9000))
    assert code == messages.REFUSED
    assert reason.startswith("a?[31mb?c")
    assert len(reason) <= 2000


def test_hello_another_version_is_refused() -> None:
    messages.check_hello(messages.encode_hello())
    with pytest.raises(frames.ProtocolError, match="version 9"):
        messages.check_hello(b"\0\x09")


@pytest.mark.parametrize(
    "decode",
    [
        messages.decode_exec,
        messages.decode_exit,
        messages.decode_write,
        messages.decode_read,
        messages.decode_unpack,
        messages.decode_resume,
        messages.decode_stats,
        messages.decode_fail,
        messages.decode_number,
        messages.check_hello,
    ],
)
@given(payload=st.binary(max_size=80))
def test_decode_any_bytes_return_or_raise_protocol_error(decode: Callable[[bytes], object], payload: bytes) -> None:
    with suppress(frames.ProtocolError):
        decode(payload)
