"""The providers under contract, and what the cases share.

Every case that asks for ``machine`` runs against a plain process and against a VM; the second is marked ``vm``. VMs
come from the image that is installed for this user; without one, those cases are skipped and say so.
"""

import os
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

# Under importlib's import mode, a directory's own modules are found this way only.
sys.path.insert(0, str(Path(__file__).parent))
from contract_machine import SPEC, Machine, leftovers

from terraphim_runner.data_directory import image_directory
from terraphim_runner.model.errors import InfrastructureError
from terraphim_runner.ports import Provider
from terraphim_runner.providers.image.store import ImageStore
from terraphim_runner.providers.process.provider import ProcessProvider
from terraphim_runner.providers.qemu.provider import QemuProvider
from terraphim_runner.providers.qemu.settings import QemuSettings

IMAGES = image_directory(os.environ)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def images() -> ImageStore:
    store = ImageStore(IMAGES)
    if shutil.which("qemu-system-x86_64") is None:
        pytest.skip("qemu-system-x86_64 is not installed")
    try:
        store.find(SPEC.image)
    except InfrastructureError as error:
        pytest.skip(str(error))
    return store


@pytest.fixture(scope="session")
def qemu_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One directory for all: the template is built once."""
    return tmp_path_factory.mktemp("qemu")


@pytest.fixture(params=["process", pytest.param("qemu", marks=pytest.mark.vm)])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def directory(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / "sessions" if kind == "process" else request.getfixturevalue("qemu_directory")


@pytest.fixture
async def provider(kind: str, directory: Path, request: pytest.FixtureRequest) -> AsyncIterator[Provider]:
    if kind == "process":
        async with ProcessProvider(directory) as process:
            yield process
    else:
        settings = QemuSettings(warm_machines=0, ping_interval_s=0.2, ping_timeout_s=20)
        async with QemuProvider(settings, request.getfixturevalue("images"), directory) as qemu:
            yield qemu
    assert await leftovers(directory) == []


@pytest.fixture
async def machine(provider: Provider, kind: str) -> AsyncIterator[Machine]:
    async with provider.acquire(SPEC) as session:
        yield Machine(session, kind)
