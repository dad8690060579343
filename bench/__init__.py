"""Measurements of what the project promises. ``python -m bench``: a table, or one JSON object with ``--json``."""
