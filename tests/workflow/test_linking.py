"""Linking beyond the golden cases: bounds, identity of files, and graphs of any shape."""

import time

from hypothesis import given
from hypothesis import strategies as st

from terraphim_runner.workflow import parse
from terraphim_runner.workflow.linking import (
    MAX_BYTES,
    MAX_CALLED,
    MAX_JOBS,
    MAX_LEVELS,
    CalledFile,
    FileReference,
    Linker,
    link,
    references,
)

PATH = ".github/workflows/{}.yml"
JOB = "  {}:\n    runs-on: ubuntu-latest\n    steps: [{{run: 'true'}}]\n"
LEAF = "on: workflow_call\njobs:\n" + JOB.format("build")


def calling(*names, on="workflow_call"):
    jobs = "".join(f"  j{number}:\n    uses: ./{PATH.format(name)}\n" for number, name in enumerate(names))
    return f"on: {on}\njobs:\n{jobs or JOB.format('alone')}"


def at(name):
    return FileReference(path=PATH.format(name))


def workflow(text, name="ci"):
    found = parse(PATH.format(name), text)
    assert found.workflow is not None, found.diagnostics
    return found.workflow


def files(**texts):
    return {at(name): CalledFile(text=text) for name, text in texts.items()}


def rules(linked):
    return [item.rule for item in linked.diagnostics]


def test_references_of_a_remote_file_stay_in_its_repository_at_its_ref():
    called = workflow(calling("inner", "inner", "other"))
    at_home = FileReference(path=PATH.format("inner"))
    assert references(called) == (at_home, FileReference(path=PATH.format("other")))
    away = references(called, FileReference(path="x", repository="octo/lib", ref="v1"))
    assert away[0] == FileReference(path=PATH.format("inner"), repository="OCTO/lib", ref="v1")
    assert away[0] != FileReference(path=PATH.format("inner"), repository="octo/lib", ref="V1")
    assert away[0].title == "octo/lib/.github/workflows/inner.yml@v1"


def test_link_without_the_files_names_what_is_missing_level_by_level():
    root = workflow(calling("a", "b", on="push"))
    first = link(root, {})
    assert first.missing == (at("a"), at("b"))
    assert not first.has_errors
    second = link(root, files(a=calling("c"), b=LEAF))
    assert second.missing == (at("c"),)
    assert list(second.files) == [at("a"), at("b")]
    third = link(root, files(a=calling("c"), b=LEAF, c=LEAF))
    assert third.missing == ()
    assert third.workflow.calls["j0"].calls["j0"].path == PATH.format("c")


def test_link_of_one_file_called_twice_gives_one_and_the_same_workflow():
    linked = link(workflow(calling("a", "b", on="push")), files(a=calling("c"), b=calling("c"), c=LEAF))
    assert linked.workflow.calls["j0"].calls["j0"] is linked.workflow.calls["j1"].calls["j0"]


def test_link_of_a_remote_file_tells_where_it_comes_from():
    text = "on: push\njobs:\n  far:\n    uses: Octo/Lib/.github/workflows/a.yml@v1\n"
    reference = FileReference(path=PATH.format("a"), repository="octo/lib", ref="v1")
    linked = link(workflow(text), {reference: CalledFile(text=LEAF, sha="1" * 40)})
    called = linked.workflow.calls["far"]
    assert called.path == PATH.format("a")
    assert (called.origin.repository, called.origin.ref, called.origin.sha) == ("octo/lib", "v1", "1" * 40)


def test_link_ignores_a_file_that_stands_for_the_run_s_own():
    root = workflow(calling("a", on="push"))
    linked = link(root, {at("ci"): CalledFile(text="not: valid"), **files(a=LEAF)})
    assert linked.diagnostics == ()


def test_linker_takes_the_place_it_is_told_for_the_workflow_s_own():
    found = parse("/elsewhere/ci.yml", calling("ci", on="[push, workflow_call]"))
    linked = Linker(found.workflow, at=at("ci")).link()
    assert rules(linked) == ["call-circle"]
    assert linked.diagnostics[0].path == "/elsewhere/ci.yml"


def test_link_without_check_support_takes_a_file_with_what_is_not_carried_out():
    text = LEAF.replace("    steps", "    snapshot: image\n    steps")
    root = workflow(calling("a", on="push"))
    assert rules(link(root, files(a=text)))[0] == "call-invalid"
    linker = Linker(root, check_support=False)
    linker.add(at("a"), CalledFile(text=text))
    assert linker.link().diagnostics == ()


def test_link_takes_fifty_called_files_and_no_more():
    names = [f"w{number}" for number in range(MAX_CALLED)]
    there = files(**dict.fromkeys([*names, "more"], LEAF))
    assert link(workflow(calling(*names, *names, on="push")), there).diagnostics == ()
    linked = link(workflow(calling(*names, "more", on="push")), there)
    assert rules(linked) == ["call-count"]
    assert linked.diagnostics[0].span.start.line == 2 + 2 * (MAX_CALLED + 1)
    not_there = link(workflow(calling(*names, "more", on="push")), {})
    assert rules(not_there) == ["call-count"]
    assert len(not_there.missing) == MAX_CALLED


def test_link_bounds_the_jobs_of_a_run_however_they_multiply():
    levels = {f"l{level}": calling(*[f"l{level + 1}"] * 90) for level in range(2, MAX_LEVELS)}
    root = workflow(calling(*["l2"] * 90, on="push"))
    linked = link(root, files(**levels, **{f"l{MAX_LEVELS}": LEAF}))
    assert rules(linked) == ["call-jobs"]
    assert f"expected at most {MAX_JOBS}" in linked.diagnostics[0].message


def test_link_bounds_the_bytes_of_all_files_together():
    text = LEAF + "#" * (900 * 1024) + "\n"
    names = [f"w{number}" for number in range(MAX_BYTES // len(text) + 1)]
    linked = link(workflow(calling(*names, on="push")), files(**dict.fromkeys(names, text)))
    assert rules(linked) == ["call-size"]
    assert link(workflow(calling(*names[:-1], on="push")), files(**dict.fromkeys(names, text))).diagnostics == ()


def test_link_of_a_hostile_number_of_wrong_calls_stays_quick_and_short():
    inputs = "".join(f"      input-number-{number}: {{type: string, required: true}}\n" for number in range(5000))
    called = f"on:\n  workflow_call:\n    inputs:\n{inputs}jobs:\n{JOB.format('build')}"
    calls = "".join(
        f"  j{number}:\n    uses: ./{PATH.format('a')}\n    with: {{ input-x: 1 }}\n" for number in range(5000)
    )
    root = workflow("on: push\njobs:\n" + calls)
    began = time.monotonic()
    linked = link(root, files(a=called))
    assert time.monotonic() - began < 10
    assert 100 <= len(linked.diagnostics) <= 102
    assert linked.has_errors


def test_link_of_a_hostile_number_of_right_calls_stays_quick():
    inputs = "".join(f"      input-number-{number}: {{type: string}}\n" for number in range(12_000))
    leaf = f"on:\n  workflow_call:\n    inputs:\n{inputs}jobs:\n{JOB.format('build')}"
    middle = calling(*["leaf"] * 12_000)
    linker = Linker(workflow(calling("middle", on="push")))
    linker.add(at("middle"), CalledFile(text=middle))
    linker.add(at("leaf"), CalledFile(text=leaf))
    began = time.monotonic()
    linked = linker.link()
    assert time.monotonic() - began < 5
    assert rules(linked) == ["call-jobs"]


def test_source_of_a_diagnostic_is_the_text_of_its_file():
    linked = link(workflow(calling("a", on="push")), files(a="on: workflow_call\njobs: {}\n"))
    first, second = linked.diagnostics
    assert linked.source_of(first) == linked.workflow.source
    assert linked.source_of(second) == "on: workflow_call\njobs: {}\n"


NAMES = [f"w{number}" for number in range(14)]
GRAPHS = st.fixed_dictionaries({name: st.lists(st.sampled_from([*NAMES, "ci", "gone"]), max_size=3) for name in NAMES})


def depth(node):
    return 1 + max((depth(called) for called in node.calls.values()), default=0)


@given(GRAPHS, st.lists(st.sampled_from(NAMES), min_size=1, max_size=4))
def test_link_of_any_graph_ends_with_a_tree_of_legal_depth_or_an_error(graph, first):
    texts = {at(name): CalledFile(text=calling(*called)) for name, called in graph.items()}
    asked = []

    def read(reference):
        asked.append(reference)
        return texts.get(reference, CalledFile(error="there is no such file"))

    linked = Linker(workflow(calling(*first, on="push"))).follow(read)
    assert len(asked) == len(set(asked))
    assert linked.missing == () or linked.has_errors
    assert depth(linked.workflow) <= MAX_LEVELS
    if not linked.has_errors:
        assert set(linked.workflow.calls) == set(linked.workflow.jobs)
        assert set(linked.files) == set(asked)
        again = link(linked.workflow, linked.files)
        assert again.workflow == linked.workflow
