"""The HTTP faces: the webhook, health, and the read-only API."""
