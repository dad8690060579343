"""GitHub's side: what it sends (``webhooks``) and what its repositories hold (``contents``)."""
