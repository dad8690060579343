from pathlib import Path

import pytest

from terraphim_runner.data_directory import data_directory, image_directory


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"TERRAPHIM_DATA_DIR": "/srv/runner", "XDG_DATA_HOME": "/x", "HOME": "/h"}, "/srv/runner"),
        ({"XDG_DATA_HOME": "/x", "HOME": "/h"}, "/x/terraphim-runner"),
        ({"XDG_DATA_HOME": "relative", "HOME": "/h"}, "/h/.local/share/terraphim-runner"),
        ({"TERRAPHIM_DATA_DIR": "", "HOME": "/h"}, "/h/.local/share/terraphim-runner"),
    ],
)
def test_data_directory_by_environment_is_the_documented_one(environ, expected):
    assert data_directory(environ) == Path(expected)


def test_data_directory_relative_setting_becomes_absolute():
    assert data_directory({"TERRAPHIM_DATA_DIR": "data"}) == Path.cwd() / "data"


def test_image_directory_is_below_the_data_directory():
    assert image_directory({"TERRAPHIM_DATA_DIR": "/srv/runner"}) == Path("/srv/runner/images")
