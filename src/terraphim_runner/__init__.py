"""A self-hosted runner for GitHub Actions: every job in its own microVM."""
