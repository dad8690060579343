"""What the image tests share: the built image, and machines that are started and always ended."""

import os

import pytest

from terraphim_runner.data_directory import image_directory
from terraphim_runner.providers.image.store import Image, ImageMissingError, ImageStore


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def built_image() -> Image:
    """The default image at its default place."""
    try:
        return ImageStore(image_directory(os.environ)).find("default")
    except ImageMissingError as error:
        pytest.skip(str(error))
