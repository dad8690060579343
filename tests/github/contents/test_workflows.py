"""Workflow files of a commit."""

import os

import pytest

pytestmark = pytest.mark.anyio


async def read(origin, mirror):
    sha = origin.commit()
    await mirror.ensure(origin.repository, sha, "refs/heads/main")
    return await mirror.read_workflows(origin.repository, sha)


async def test_read_workflows_gives_yaml_files_of_the_folder_only(origin, mirror):
    origin.write(".github/workflows/b.yml", "on: push\n")
    origin.write(".github/workflows/a.yaml", "\ufeffname: ä\n")
    origin.write(".github/workflows/README.md", "no")
    origin.write(".github/workflows/deeper/c.yml", "no")
    origin.write(".github/other.yml", "no")
    origin.write(".github/workflows/empty.yml", "")
    found = await read(origin, mirror)
    assert [(file.path, file.text, file.error) for file in found] == [
        (".github/workflows/a.yaml", "name: ä\n", None),
        (".github/workflows/b.yml", "on: push\n", None),
        (".github/workflows/empty.yml", "", None),
    ]


async def test_read_workflows_same_content_twice_gives_both(origin, mirror):
    origin.write(".github/workflows/a.yml", "on: push\n")
    origin.write(".github/workflows/b.yml", "on: push\n")
    assert [file.text for file in await read(origin, mirror)] == ["on: push\n"] * 2


async def test_read_workflows_without_a_folder_gives_none(origin, mirror):
    assert await read(origin, mirror) == []


async def test_read_workflows_that_cannot_be_read_are_told(origin, mirror):
    origin.write(".github/workflows/latin.yml", b"name: \xe4\n")
    origin.write(".github/workflows/large.yml", b"#" * (1024 * 1024 + 1))
    os.symlink("/etc/passwd", origin.path / ".github/workflows/link.yml")
    origin.write(".github/workflows/good.yml", "on: push\n")
    found = {file.path.rsplit("/", 1)[1]: file for file in await read(origin, mirror)}
    assert found["good.yml"].error is None
    assert "not UTF-8: byte 6" in found["latin.yml"].error
    assert "at most 1048576" in found["large.yml"].error
    assert "not a regular file" in found["link.yml"].error
    assert not any(found[name].text for name in ("latin.yml", "large.yml", "link.yml"))


async def test_read_workflows_over_a_hundred_are_told(origin, mirror):
    for number in range(101):
        origin.write(f".github/workflows/{number:03}.yml", "on: push\n")
    found = await read(origin, mirror)
    assert len(found) == 101
    assert found[-1].error is not None
    assert "found 101 workflow files" in found[-1].error
