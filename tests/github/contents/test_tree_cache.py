"""The cache of trees by itself."""

import os
import time
from pathlib import Path

import anyio
import pytest

from terraphim_runner.github.contents.tree_cache import TreeCache

pytestmark = pytest.mark.anyio


async def _build(_work: Path, archive: Path) -> None:
    await anyio.Path(archive).write_bytes(b"x" * 100)


async def _open(cache: TreeCache, key: str) -> None:
    async with cache.open(key, _build) as file:
        assert os.pread(file, 3, 0) == b"xxx"


async def test_archive_that_another_evicts_meanwhile_is_no_trouble(tmp_path: Path) -> None:
    # A link to nowhere is what a file looks like that was listed and is gone before it is looked at.
    (tmp_path / "gone.tar").symlink_to(tmp_path / "nowhere")
    await _open(TreeCache(tmp_path, max_bytes=1000, timeout_s=20), "aa")


async def test_folder_of_a_crashed_build_goes_with_a_later_build_of_the_same_server(tmp_path: Path) -> None:
    cache = TreeCache(tmp_path, max_bytes=1000, timeout_s=20)
    await _open(cache, "aa")
    left = tmp_path / "building-x"
    left.mkdir()
    old = time.time() - 7 * 3600
    os.utime(left, (old, old))
    await _open(cache, "bb")
    assert not left.exists()
