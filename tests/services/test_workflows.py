"""Workflows that are kept parsed while their runs go on."""

from terraphim_runner.services.workflows import WorkflowCache
from terraphim_runner.store.runs import RunTexts

LEAF = "on: workflow_call\njobs:\n  build: {runs-on: x, steps: [{run: x}]}\n"
ROOT = "on: push\njobs:\n  call: {uses: ./.github/workflows/leaf.yml}\n"


def texts(number: int, size: int = 0) -> RunTexts:
    leaf = {
        "repository": None,
        "ref": None,
        "path": ".github/workflows/leaf.yml",
        "sha": None,
        "text": f"{LEAF}#{'x' * size}\n",
    }
    return RunTexts(path=f".github/workflows/{number}.yml", source=ROOT, called=(leaf,))


def test_cache_gives_the_same_workflow_for_the_same_texts():
    cache = WorkflowCache()
    found = cache.of(texts(1))
    assert cache.of(texts(1)) is found
    assert cache.of(texts(2)) is not found
    assert [str(key) for key in found.calls] == ["call"]


def test_cache_forgets_what_was_not_used_for_the_longest_time():
    cache = WorkflowCache(max_chars=10_000)
    first, second = (cache.of(texts(number, 4_000)) for number in (1, 2))
    assert cache.of(texts(1, 4_000)) is first
    cache.of(texts(3, 4_000))
    assert len(cache) == 2
    assert cache.of(texts(1, 4_000)) is first
    assert cache.of(texts(2, 4_000)) is not second


def test_cache_keeps_one_that_is_larger_than_all_that_it_keeps():
    cache = WorkflowCache(max_chars=1_000)
    cache.of(texts(1))
    found = cache.of(texts(2, 4_000))
    assert len(cache) == 1
    assert cache.of(texts(2, 4_000)) is found
