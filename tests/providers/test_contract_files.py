"""What every provider's sessions owe to files and archives."""

import io
import os
import tarfile
from collections.abc import AsyncIterator

import pytest
from contract_machine import Machine

from terraphim_runner.ports import FileTooLargeError, GuestFile, RefusedError

pytestmark = pytest.mark.anyio


async def pieces(data: bytes, size: int = 10_000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def archive(*members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.GNU_FORMAT) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=form) as tar:
        for info, content in members:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return target.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = target
    info.mode = mode
    return info


async def test_write_files_many_have_content_mode_and_parents(machine: Machine) -> None:
    home = machine.session.home
    files = [
        GuestFile(path=f"{home}/work/a/b/script.sh", content=b"#!/bin/sh\necho ran\n", mode=0o755),
        GuestFile(path=f"{home}/work/empty", content=b""),
        GuestFile(path=f"{home}/work/large", content=os.urandom(1_500_000), mode=0o600),
    ]
    await machine.session.write_files(files)
    for file in files:
        assert await machine.session.read_file(file.path, max_bytes=2_000_000) == file.content
    assert await machine.text("work/a/b/script.sh; stat -c %a work/large; wc -c <work/empty") == "ran\n600\n0"


async def test_write_files_again_replaces_the_content(machine: Machine) -> None:
    path = f"{machine.session.home}/file"
    await machine.session.write_files([GuestFile(path=path, content=b"a long first content")])
    await machine.session.write_files([GuestFile(path=path, content=b"short")])
    assert await machine.session.read_file(path, max_bytes=100) == b"short"


async def test_write_files_a_link_in_the_way_is_replaced_not_followed(machine: Machine) -> None:
    home = machine.session.home
    await machine.text("echo precious > target; ln -s target link; mkfifo pipe")
    await machine.session.write_files([GuestFile(path=f"{home}/link", content=b"new")])
    await machine.session.write_files([GuestFile(path=f"{home}/pipe", content=b"new")])
    assert await machine.text("cat target; test ! -L link && cat link pipe") == "precious\nnewnew"


async def test_write_files_into_a_file_as_directory_is_refused(machine: Machine) -> None:
    home = machine.session.home
    await machine.text("echo x > plain")
    with pytest.raises(RefusedError, match="plain/below"):
        await machine.session.write_files([GuestFile(path=f"{home}/plain/below", content=b"x" * 1_000_000)])
    assert await machine.text("cat plain") == "x"


@pytest.mark.vm
@pytest.mark.parametrize("kind", ["qemu"])
async def test_write_files_have_their_owner_and_only_its_rights(machine: Machine) -> None:
    home = machine.session.home
    await machine.session.write_files(
        [
            GuestFile(path=f"{home}/new/mine", content=b"x"),
            GuestFile(path="/etc/roots", content=b"x", owner="root"),
        ]
    )
    assert await machine.text("stat -c '%U %G' new new/mine /etc/roots") == "runner runner\nrunner runner\nroot root"
    with pytest.raises(RefusedError, match="Permission denied"):
        await machine.session.write_files([GuestFile(path="/etc/not-yours", content=b"x")])
    await machine.text("ln -s /etc away")
    with pytest.raises(RefusedError, match="Permission denied"):
        await machine.session.write_files([GuestFile(path=f"{home}/away/not-yours", content=b"x")])


async def test_read_file_missing_is_none(machine: Machine) -> None:
    assert await machine.session.read_file(f"{machine.session.home}/none", max_bytes=10) is None
    assert await machine.session.read_file("/etc/passwd/none", max_bytes=10) is None


async def test_read_file_at_the_limit_is_read_and_above_it_is_refused(machine: Machine) -> None:
    path = f"{machine.session.home}/file"
    await machine.session.write_files([GuestFile(path=path, content=b"x" * 700_000)])
    assert await machine.session.read_file(path, max_bytes=700_000) == b"x" * 700_000
    with pytest.raises(FileTooLargeError, match="699999"):
        await machine.session.read_file(path, max_bytes=699_999)


async def test_read_file_that_never_ends_is_refused(machine: Machine) -> None:
    with pytest.raises(RefusedError, match="not a regular file"):
        await machine.session.read_file("/dev/zero", max_bytes=10)
    await machine.text("mkfifo pipe")
    with pytest.raises(RefusedError, match="not a regular file"):
        await machine.session.read_file(f"{machine.session.home}/pipe", max_bytes=10)


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
async def test_unpack_files_links_and_modes_arrive(machine: Machine, form: int) -> None:
    long = "d" * 90 + "/" + "f" * 90
    data = archive(
        (member("./", tarfile.DIRTYPE), b""),
        (member("dir", tarfile.DIRTYPE, mode=0o755), b""),
        (member("dir/run.sh", mode=0o755), b"#!/bin/sh\necho ran\n"),
        (member(long), b"long"),
        (member("umlaut-\u00fc"), b"u") if form != tarfile.USTAR_FORMAT else (member("plain"), b"u"),
        (member("link", tarfile.SYMTYPE, "dir/run.sh"), b""),
        (member("hard", tarfile.LNKTYPE, "dir/run.sh"), b""),
        (member("big"), bytes(range(256)) * 4000),
        form=form,
    )
    destination = f"{machine.session.home}/work/repo"
    await machine.session.unpack(destination, pieces(data))
    script = f"cd work/repo; dir/run.sh; ./link; ./hard; cat {long}; stat -c '%s' big; readlink link"
    assert await machine.text(script) == "ran\nran\nran\nlong1024000\ndir/run.sh"


async def test_unpack_over_an_older_tree_replaces_files(machine: Machine) -> None:
    destination = f"{machine.session.home}/work/repo"
    await machine.session.unpack(destination, pieces(archive((member("a/file"), b"a longer old content"))))
    await machine.session.unpack(destination, pieces(archive((member("a/file"), b"new"))))
    assert await machine.text("cat work/repo/a/file") == "new"


@pytest.mark.parametrize(
    "members",
    [
        pytest.param([(member("../out"), b"x")], id="climbing"),
        pytest.param([(member("a/../../out"), b"x")], id="climbing-below"),
        pytest.param([(member("/tmp/terraphim-escape"), b"x")], id="absolute"),
        pytest.param([(member("l", tarfile.SYMTYPE, ".."), b""), (member("l/out"), b"x")], id="through-a-link"),
        pytest.param([(member("l", tarfile.SYMTYPE, ".."), b""), (member("l/d", tarfile.DIRTYPE), b"")], id="mkdir"),
        pytest.param([(member("h", tarfile.LNKTYPE, "../target"), b"")], id="hard-link-climbing"),
        pytest.param([(member("h", tarfile.LNKTYPE, "/etc/passwd"), b"")], id="hard-link-absolute"),
        pytest.param([(member("null", tarfile.CHRTYPE), b"")], id="device"),
        pytest.param([(member("pipe", tarfile.FIFOTYPE), b"")], id="fifo"),
    ],
)
async def test_unpack_hostile_archive_is_refused_and_writes_nothing_outside(
    machine: Machine, members: list[tuple[tarfile.TarInfo, bytes]]
) -> None:
    await machine.text("mkdir -p work; echo precious > work/target")
    data = archive((member("before"), b"x"), *members)
    with pytest.raises(RefusedError):
        await machine.session.unpack(f"{machine.session.home}/work/repo", pieces(data))
    assert await machine.text("cat work/target; ls work; ls /tmp | grep -c terraphim-escape || true") == (
        "precious\nrepo\ntarget\n0"
    )


async def test_unpack_file_over_a_link_replaces_the_link(machine: Machine) -> None:
    await machine.text("mkdir work; echo precious > work/target")
    data = archive((member("l", tarfile.SYMTYPE, "../target"), b""), (member("l"), b"new"))
    await machine.session.unpack(f"{machine.session.home}/work/repo", pieces(data))
    assert await machine.text("cat work/target work/repo/l") == "precious\nnew"


async def test_unpack_damaged_archives_are_refused(machine: Machine) -> None:
    data = bytearray(archive((member("file"), b"x" * 5000)))
    destination = f"{machine.session.home}/work"
    with pytest.raises(RefusedError, match="middle of an entry"):
        await machine.session.unpack(destination, pieces(bytes(data[:3000])))
    data[10] ^= 1
    with pytest.raises(RefusedError, match="checksum"):
        await machine.session.unpack(destination, pieces(bytes(data)))


async def test_unpack_source_that_fails_leaves_the_session_good(machine: Machine) -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield archive((member("file"), b"x" * 5000))[:3000]
        raise OSError("the mirror is gone")

    with pytest.raises(OSError, match="mirror"):
        await machine.session.unpack(f"{machine.session.home}/work", failing())
    assert await machine.text("echo fine") == "fine"


async def test_stats_count_what_is_used(machine: Machine) -> None:
    before = await machine.session.stats()
    await machine.text("i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done")
    after = await machine.session.stats()
    assert after.cpu_s > before.cpu_s
    assert after.memory_bytes >= 0
