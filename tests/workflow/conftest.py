"""What the tests of workflow files share."""

from pathlib import Path

import pytest


@pytest.fixture
def golden_directory() -> Path:
    return Path(__file__).parents[1] / "golden"
