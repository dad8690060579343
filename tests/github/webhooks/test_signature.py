"""Signatures of webhook bodies."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terraphim_runner.github.webhooks import SignatureError, SignatureMissingError, WebhookSecrets, verify
from terraphim_runner.model.errors import UsageError
from terraphim_runner.model.secret import Secret

KEY = Secret("It's a Secret to Everybody")


def sign(body: bytes, key: str = KEY.reveal()) -> str:
    return "sha256=" + hmac.new(key.encode(), body, hashlib.sha256).hexdigest()


def test_verify_githubs_own_example_is_accepted():
    verify(KEY, b"Hello, World!", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")


@given(st.binary(max_size=300))
def test_verify_any_signed_body_is_accepted(body):
    verify(WebhookSecrets([Secret("old"), KEY]), body, sign(body))
    verify([KEY], body, sign(body).replace("sha256=", "sha256=").upper().replace("SHA256", "sha256"))


@given(st.binary(min_size=1, max_size=100), st.integers(0, 99))
def test_verify_body_that_was_changed_is_refused(body, at):
    changed = bytearray(body)
    changed[at % len(body)] ^= 1
    with pytest.raises(SignatureError):
        verify(KEY, bytes(changed), sign(body))


@given(st.text(max_size=100))
def test_verify_any_other_header_is_refused(header):
    with pytest.raises(SignatureError):
        verify(KEY, b"x", header)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "sha256=",
        "sha1=" + "a" * 40,
        sign(b"x")[7:],
        sign(b"x") + "\n",
        " " + sign(b"x"),
        sign(b"x", "other"),
        "sha256=" + "zz" * 32,
        "sha256=" + " ".join(["aa"] * 32),
        "sha256=" + "\u0661" * 64,
    ],
)
def test_verify_faulty_header_is_refused(header):
    with pytest.raises(SignatureError) as caught:
        verify(KEY, b"x", header)
    assert sign(b"x")[7:] not in str(caught.value)


def test_verify_without_a_header_is_told_apart():
    with pytest.raises(SignatureMissingError):
        verify(KEY, b"x", None)


@pytest.mark.parametrize("secrets", [Secret(""), [], [KEY, Secret("")]])
def test_secrets_with_an_empty_one_are_refused(secrets):
    with pytest.raises(UsageError, match="GITHUB_WEBHOOK_SECRET"):
        WebhookSecrets(secrets)
    with pytest.raises(UsageError):
        verify(secrets, b"x", sign(b"x", ""))
