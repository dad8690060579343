import json
import os
import subprocess
import sys

import pytest

from terraphim_runner.model.errors import InfrastructureError, UsageError
from terraphim_runner.providers.image.sparse import sparse_digest
from terraphim_runner.providers.image.store import (
    INITRD,
    KERNEL,
    MANIFEST,
    ROOTFS,
    ImageMissingError,
    ImageStore,
    write_manifest,
)


@pytest.fixture
def store(tmp_path):
    return ImageStore(tmp_path / "images")


def fill(directory, content=b"x"):
    for name in (KERNEL, INITRD, ROOTFS):
        (directory / name).write_bytes(content)
    fields = {
        "files": {name: len(content) for name in (KERNEL, INITRD, ROOTFS)},
        "inputs_digest": "inputs",
        "suite": "bookworm",
        "kernel_release": "6.1.0",
        "packages": [["bash", "5.2"]],
        "created_at": "2026-01-01T00:00:00+00:00",
    }
    write_manifest(directory, fields)


def add(store, name, digest, content=b"x"):
    with store.lock(name):
        directory = store.building_directory(name)
        fill(directory, content)
        return store.adopt(name, directory, digest)


def test_store_image_that_was_adopted_is_found(store):
    added = add(store, "default", "d1")
    found = store.find("default")
    assert found == added
    assert (found.name, found.digest, found.packages) == ("default", "d1", (("bash", "5.2"),))
    assert found.rootfs == store.directory / "default/d1/rootfs.ext4"
    assert found.created_at.utcoffset().total_seconds() == 0


def test_store_missing_image_says_how_to_build_it(store):
    with pytest.raises(ImageMissingError, match="terraphim-runner image build"):
        store.find("default")
    with pytest.raises(InfrastructureError, match="terraphim-runner image build other"):
        store.find("other")


def test_store_half_built_image_is_not_visible(store):
    with store.lock("default"):
        fill(store.building_directory("default"))
    assert store.list() == ()
    with pytest.raises(ImageMissingError):
        store.find("default")
    assert len(store.leftovers("default")) == 1


def test_store_new_image_replaces_the_current_one_and_keeps_one_earlier(store):
    for digest in ("d1", "d2", "d3"):
        add(store, "default", digest)
    assert store.find("default").digest == "d3"
    home = store.directory / "default"
    assert sorted(path.name for path in home.iterdir() if not path.name.startswith(".")) == ["current", "d2", "d3"]


def test_store_same_bytes_again_change_nothing(store):
    first = add(store, "default", "d1")
    inode = first.rootfs.stat().st_ino
    assert add(store, "default", "d1").rootfs.stat().st_ino == inode
    assert store.leftovers("default") == ()


def test_store_list_has_the_current_image_of_every_name(store):
    add(store, "b", "d1")
    add(store, "a", "d2")
    assert [image.name for image in store.list()] == ["a", "b"]


@pytest.mark.parametrize("file", [KERNEL, INITRD, ROOTFS, MANIFEST])
def test_store_image_that_lost_a_file_is_missing(store, file):
    (add(store, "default", "d1").directory / file).unlink()
    with pytest.raises(ImageMissingError, match=r"damaged.*image build"):
        store.find("default")
    assert store.list() == ()


def test_store_truncated_file_is_told(store):
    add(store, "default", "d1").rootfs.write_bytes(b"")
    with pytest.raises(ImageMissingError, match="has 0 bytes, expected 1"):
        store.find("default")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 99}', "\0", json.dumps({"format": 1, "files": 3})])
def test_store_damaged_manifest_is_told(store, text):
    (add(store, "default", "d1").directory / MANIFEST).write_text(text)
    with pytest.raises(ImageMissingError):
        store.find("default")


def test_store_remove_frees_every_version(store):
    add(store, "default", "d1")
    add(store, "default", "d2", b"x" * 8192)
    assert store.remove("default") >= 8192
    with pytest.raises(ImageMissingError):
        store.find("default")
    with pytest.raises(ImageMissingError):
        store.remove("default")


def test_store_remove_while_somebody_builds_is_refused(store):
    add(store, "default", "d1")
    with store.lock("default"), pytest.raises(InfrastructureError, match="being built"):
        store.remove("default")
    assert store.find("default").digest == "d1"


@pytest.mark.parametrize("name", ["..", "a/b", "", "-x", "A", ".hidden", "x" * 64, "a\n"])
def test_store_name_that_is_no_name_is_refused(store, name):
    with pytest.raises(UsageError, match="not an image name"):
        store.find(name)


def test_store_lock_is_exclusive_and_ends_with_its_process(store):
    with store.lock("default"), pytest.raises(BlockingIOError), store.lock("default"):
        pass
    program = (
        "import pathlib, sys\n"
        "from terraphim_runner.providers.image.store import ImageStore\n"
        "with ImageStore(pathlib.Path(sys.argv[1])).lock('default'):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", program, str(store.directory)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(BlockingIOError), store.lock("default"):
            pass
        process.kill()
    with store.lock("default"):
        pass


def test_sparse_digest_sees_data_and_its_place(tmp_path):
    def digest(*writes, size=1 << 30):
        path = tmp_path / "sparse"
        path.unlink(missing_ok=True)
        with path.open("wb") as file:
            os.truncate(file.fileno(), size)
            for offset, data in writes:
                os.pwrite(file.fileno(), data, offset)
        return sparse_digest(path)

    plain = digest((1 << 20, b"abc"))
    assert plain == digest((1 << 20, b"abc"))
    assert plain != digest((1 << 20, b"abd"))
    assert plain != digest((2 << 20, b"abc"))
    assert plain != digest((1 << 20, b"abc"), size=1 << 29)
