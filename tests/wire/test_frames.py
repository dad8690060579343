"""Framing: whatever is sent arrives, however it is cut; whatever is not allowed is refused at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terraphim_runner.wire import frames

KINDS = sorted(frames.TO_HOST)
frame = st.sampled_from(KINDS).flatmap(
    lambda kind: st.tuples(st.just(kind), st.integers(0, 2**32 - 1), st.binary(max_size=min(frames.TO_HOST[kind], 200)))
)


@given(sent=st.lists(frame, max_size=20), cuts=st.lists(st.integers(1, 50), min_size=1))
def test_decoder_any_cutting_returns_what_was_sent(sent: list[tuple[int, int, bytes]], cuts: list[int]) -> None:
    data = b"".join(frames.encode(*item) for item in sent)
    decoder = frames.Decoder(frames.TO_HOST)
    received = []
    position = index = 0
    while position < len(data):
        step = cuts[index % len(cuts)]
        received += decoder.feed(data[position : position + step])
        position += step
        index += 1
    assert received == sent
    assert decoder.pending == 0


@given(st.binary(max_size=400))
def test_decoder_any_bytes_returns_or_raises_protocol_error_and_holds_little(data: bytes) -> None:
    decoder = frames.Decoder(frames.TO_HOST)
    try:
        for kind, _, payload in decoder.feed(data):
            assert len(payload) <= frames.TO_HOST[kind]
    except frames.ProtocolError:
        with pytest.raises(frames.ProtocolError):
            decoder.feed(b"")


@pytest.mark.parametrize("kind", [0, 255, frames.EXEC, frames.RESUME, frames.STDIN])
def test_decoder_kind_of_the_other_direction_is_refused(kind: int) -> None:
    with pytest.raises(frames.ProtocolError, match=f"kind {kind}"):
        frames.Decoder(frames.TO_HOST).feed(frames.encode(kind, 1))


@pytest.mark.parametrize("kind", KINDS)
def test_decoder_too_long_is_refused_before_its_payload_comes(kind: int) -> None:
    header = frames.HEADER.pack(frames.TO_HOST[kind] + 1, kind, 1)
    with pytest.raises(frames.ProtocolError, match="expected at most"):
        frames.Decoder(frames.TO_HOST).feed(header)


def test_decoder_after_an_error_keeps_raising() -> None:
    decoder = frames.Decoder(frames.TO_HOST)
    with pytest.raises(frames.ProtocolError):
        decoder.feed(frames.encode(99, 1))
    with pytest.raises(frames.ProtocolError):
        decoder.feed(frames.encode(frames.DONE, 1))


@given(st.binary(max_size=3 * frames.MAX_DATA))
def test_encode_chunks_content_comes_back_in_frames_of_bounded_size(content: bytes) -> None:
    received = frames.Decoder(frames.TO_HOST).feed(b"".join(frames.encode_chunks(frames.DATA, 7, content)))
    assert b"".join(payload for _, _, payload in received) == content
    assert all(0 < len(payload) <= frames.MAX_DATA for _, _, payload in received)


def test_window_overdrawn_is_refused() -> None:
    window = frames.Window()
    window.spend(frames.WINDOW)
    with pytest.raises(frames.ProtocolError):
        window.spend(1)


def test_window_nothing_at_all_is_refused() -> None:
    with pytest.raises(frames.ProtocolError):
        frames.Window().spend(0)


def test_window_more_credit_than_was_used_is_refused() -> None:
    window = frames.Window()
    window.spend(10)
    window.extend(10)
    with pytest.raises(frames.ProtocolError):
        window.extend(1)
