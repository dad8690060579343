"""Fetching called workflows round by round, and what is stored of them."""

import json

import anyio
import pytest

from terraphim_runner.model.errors import InfrastructureError
from terraphim_runner.services.calls import called_to_json, resolve
from terraphim_runner.workflow import parse
from terraphim_runner.workflow.linking import CalledFile, FileReference, link

pytestmark = pytest.mark.anyio

PATH = ".github/workflows/{}.yml"
LEAF = "on: workflow_call\njobs:\n  build:\n    runs-on: x\n    steps: [{run: 'true'}]\n"


@pytest.fixture
def anyio_backend():
    return "asyncio"


def calling(*uses, on="workflow_call"):
    return f"on: {on}\njobs:\n" + "".join(f"  j{number}:\n    uses: {name}\n" for number, name in enumerate(uses))


def local(name):
    return f"./{PATH.format(name)}"


def root(*uses):
    found = parse(PATH.format("ci"), calling(*uses, on="push")).workflow
    assert found is not None
    return found


class Files:
    """Files by the titles of their references; what is asked for is noted."""

    def __init__(self, **texts):
        self.texts = texts
        self.asked = []

    async def fetch(self, reference):
        self.asked.append(reference.title)
        name = reference.path.rpartition("/")[2].removesuffix(".yml")
        sha = "1" * 40 if reference.repository is not None else None
        return CalledFile(text=self.texts[name], sha=sha) if name in self.texts else CalledFile(error="gone")


async def test_resolve_fetches_each_file_once_until_nothing_is_missing():
    files = Files(a=calling(local("b"), local("c")), b=calling(local("c")), c=LEAF)
    linked = await resolve(root(local("a"), local("c")), files.fetch)
    assert not linked.has_errors
    assert linked.missing == ()
    assert sorted(files.asked) == [PATH.format(name) for name in "abc"]
    assert linked.workflow.calls["j0"].calls["j0"].calls["j0"] is linked.workflow.calls["j1"]


async def test_resolve_of_a_workflow_without_calls_fetches_nothing():
    workflow = parse("ci.yml", LEAF).workflow
    files = Files()
    assert (await resolve(workflow, files.fetch)).workflow is workflow
    assert files.asked == []


async def test_resolve_stops_fetching_at_the_first_error():
    files = Files(a=calling(local("b")), b=LEAF)
    linked = await resolve(root(local("a"), local("gone")), files.fetch)
    assert [item.rule for item in linked.diagnostics] == ["call-file"]
    assert PATH.format("b") not in files.asked


async def test_resolve_leaves_missing_what_is_not_to_be_fetched():
    files = Files(a=LEAF)

    async def only_local(reference):
        return None if reference.repository is not None else await files.fetch(reference)

    far = "octo/lib/.github/workflows/far.yml@v1"
    linked = await resolve(root(local("a"), far), only_local)
    assert not linked.has_errors
    assert linked.missing == (FileReference(path=PATH.format("far"), repository="octo/lib", ref="v1"),)
    assert list(linked.workflow.calls) == ["j0"]


async def test_resolve_past_its_deadline_is_trouble_that_may_be_tried_again():
    async def never(reference):
        await anyio.sleep_forever()

    with pytest.raises(InfrastructureError, match=r"fetch the workflows that .* calls: it took more than") as raised:
        await resolve(root(local("a")), never, deadline_s=0.01)
    assert raised.value.retryable


async def test_resolve_lets_trouble_on_the_way_through():
    async def broken(reference):
        raise InfrastructureError(doing="fetch", reason="no network", retryable=True)

    with pytest.raises(InfrastructureError, match="no network"):
        await resolve(root(local("a")), broken)


async def test_stored_files_give_the_same_workflow_again():
    far = "octo/lib/.github/workflows/a.yml@v1"
    files = Files(a=calling(local("b")), b=LEAF)
    linked = await resolve(root(far, local("b")), files.fetch)
    assert not linked.has_errors
    stored = json.loads(json.dumps(called_to_json(linked)))
    assert [set(item) for item in stored] == [{"repository", "ref", "path", "sha", "text"}] * 3
    again = link(
        root(far, local("b")),
        {
            FileReference(path=item["path"], repository=item["repository"], ref=item["ref"]): CalledFile(
                text=item["text"], sha=item["sha"]
            )
            for item in stored
        },
    )
    assert again.workflow == linked.workflow
    assert again.workflow.calls["j0"].origin.sha == "1" * 40
