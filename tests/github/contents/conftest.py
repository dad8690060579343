"""Unpacking trees as a machine does, and asking real git about them."""

import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from terraphim_runner.ports import Checkout, CheckoutRequest, SourceTree


@dataclass
class Unpacked:
    path: Path
    sha: str
    ref: str
    archive: bytes

    def git(self, *arguments: str) -> str:
        ended = subprocess.run(
            ["git", "-c", "safe.directory=*", *arguments],
            cwd=self.path,
            env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert ended.returncode == 0, (arguments, ended.stderr)
        return ended.stdout.strip("\n")


@pytest.fixture
def unpack(tmp_path: Path) -> Callable[..., object]:
    async def unpacked(tree: SourceTree, ref: str | None = None, depth: int = 1, **options: str) -> Unpacked:
        request = CheckoutRequest(
            repository="octo/hello",
            ref=ref,
            fetch_depth=depth,
            options={name.replace("_", "-"): value for name, value in options.items()},
        )
        async with tree.checkout(request) as checkout:
            archive = await collect(checkout)
        path = extract(archive, tmp_path)
        return Unpacked(path, checkout.sha, checkout.ref, archive)

    return unpacked


async def collect(checkout: Checkout) -> bytes:
    return b"".join([chunk async for chunk in checkout.archive])


def extract(archive: bytes, parent: Path) -> Path:
    path = Path(tempfile.mkdtemp(prefix="machine", dir=parent))
    subprocess.run(["tar", "-x", "--no-same-owner", "-C", str(path)], input=archive, check=True, timeout=30)
    return path
