"""Whether a body was signed with one of our webhook secrets.

Source: GitHub's "Validating webhook deliveries": ``X-Hub-Signature-256: sha256=<HMAC-SHA256 of the body, in hex>``.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from typing import Final

from terraphim_runner.model.errors import UsageError
from terraphim_runner.model.secret import Secret

_HEADER: Final = re.compile(r"sha256=([0-9a-fA-F]{64})", re.ASCII)


class SignatureMissingError(Exception):
    """There is no ``X-Hub-Signature-256`` header."""


class SignatureError(Exception):
    """The header is not a signature of this body by one of our secrets."""


class WebhookSecrets:
    """One or more secrets, none of them empty; several while a secret is being replaced.

    Raises ``UsageError`` for an empty secret or none at all: anybody can sign with an empty key.
    """

    __slots__ = ("_secrets",)

    def __init__(self, secrets: Sequence[Secret] | Secret) -> None:
        self._secrets = (secrets,) if isinstance(secrets, Secret) else tuple(secrets)
        if not self._secrets or not all(self._secrets):
            raise UsageError("the webhook secret is empty: set GITHUB_WEBHOOK_SECRET to the one of GitHub's webhook")

    def signed(self, body: bytes, digest: bytes) -> bool:
        """Tell whether one of the secrets makes this digest; the time taken does not tell which or how nearly."""
        matches = [
            hmac.compare_digest(hmac.new(secret.reveal().encode(), body, hashlib.sha256).digest(), digest)
            for secret in self._secrets
        ]
        return any(matches)


def verify(secrets: WebhookSecrets | Sequence[Secret] | Secret, body: bytes, header: str | None) -> None:
    """Return only when the body was signed with one of the secrets; the comparison takes constant time.

    Raises ``SignatureMissingError`` without a header, ``SignatureError`` for any other fault,
    ``UsageError`` when a secret is empty. No message shows what the right signature would be.
    """
    keys = secrets if isinstance(secrets, WebhookSecrets) else WebhookSecrets(secrets)
    if header is None:
        raise SignatureMissingError("the header X-Hub-Signature-256 is missing: set a secret in the webhook's settings")
    match = _HEADER.fullmatch(header)
    if match is None:
        raise SignatureError("the header X-Hub-Signature-256 is not 'sha256=' and 64 hex digits")
    if not keys.signed(body, bytes.fromhex(match[1])):
        raise SignatureError("the signature does not match the body: the secret differs, or the body was changed")
