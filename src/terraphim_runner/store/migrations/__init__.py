"""Alembic's migrations. Run by ``python -m terraphim_runner.store.migrations``, which reads the URL from stdin."""
