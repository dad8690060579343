"""Webhook deliveries: whether GitHub sent them, and what they say."""

from terraphim_runner.github.webhooks.decoding import Ignored, PayloadError, as_pull_request_target, decode, from_fork
from terraphim_runner.github.webhooks.signature import SignatureError, SignatureMissingError, WebhookSecrets, verify

__all__ = [
    "Ignored",
    "PayloadError",
    "SignatureError",
    "SignatureMissingError",
    "WebhookSecrets",
    "as_pull_request_target",
    "decode",
    "from_fork",
    "verify",
]
