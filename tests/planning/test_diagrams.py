"""Plans as pictures: well formed, complete, the same each time, and never steered by what a workflow says."""

import time
import xml.etree.ElementTree as ET
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terraphim_runner.model.ids import JobKey
from terraphim_runner.planning import JobOutline, Outlook, PlanOutline, outline
from terraphim_runner.planning.diagrams import render_mermaid, render_svg
from terraphim_runner.planning.diagrams.layout import lay_out

SVG = "{http://www.w3.org/2000/svg}"
TEXT = """\
name: CI
on: push
jobs:
  build: {runs-on: linux, strategy: {matrix: {os: [a, b]}}, steps: [run: 'true']}
  test: {runs-on: linux, needs: build, if: "needs.build.outputs.x", steps: [run: 'true']}
  docs: {runs-on: linux, needs: build, if: 'false', steps: [run: 'true']}
  deploy: {runs-on: linux, needs: [test, build], steps: [run: 'true']}
"""


def test_mermaid_has_a_node_per_job_and_an_arrow_per_need(workflow: Callable):
    assert render_mermaid(outline(workflow(TEXT), "push", {})).splitlines()[:9] == [
        "flowchart LR",
        '    j0["build<br/>2 legs on linux"]:::runs',
        '    j1["test<br/>not known yet"]:::unknown',
        '    j2["docs<br/>skipped"]:::skipped',
        '    j3["deploy<br/>not known yet"]:::unknown',
        "    j0 --> j1",
        "    j0 --> j2",
        "    j1 --> j3",
        "    j0 --> j3",
    ]


def test_layout_puts_each_job_right_of_all_that_it_needs(workflow: Callable):
    layout = lay_out(outline(workflow(TEXT), "push", {}))
    assert {key: (cell.column, cell.row) for key, cell in layout.cells.items()} == {
        "build": (0, 0),
        "test": (1, 0),
        "docs": (1, 1),
        "deploy": (2, 0),
    }


def test_layout_leaves_room_for_a_line_over_several_columns(workflow: Callable):
    layout = lay_out(outline(workflow(TEXT), "push", {}))
    assert layout.route(JobKey("build"), JobKey("deploy")) == [(0, 0), (1, 2), (2, 0)]
    assert layout.row_count == 3


def test_pictures_of_very_many_jobs_are_drawn_soon():
    jobs = [JobOutline(key=JobKey("j0"), needs=(), outlook=Outlook.SKIPPED)]
    for number in range(1, 2000):
        needs = tuple(JobKey(f"j{need}") for need in (0, number - 1))
        jobs.append(JobOutline(key=JobKey(f"j{number}"), needs=needs, outlook=Outlook.SKIPPED))
    plan = PlanOutline(workflow="w", path="p", event="push", jobs=tuple(jobs))
    began = time.monotonic()
    ET.fromstring(render_svg(plan))
    assert render_mermaid(plan).count("-->") == 2 * 1999
    assert time.monotonic() - began < 2


def test_svg_shows_every_job_and_is_well_formed(workflow: Callable):
    picture = render_svg(outline(workflow(TEXT), "push", {}))
    root = ET.fromstring(picture)
    words = [element.text for element in root.iter(f"{SVG}text")]
    assert words[0] == "CI on push"
    assert {"build", "2 legs on linux", "test", "docs", "deploy", "skipped"} <= set(words)
    assert len(list(root.iter(f"{SVG}g"))) == 4
    assert picture == render_svg(outline(workflow(TEXT), "push", {}))


def test_pictures_of_a_plan_without_jobs_are_empty_and_well_formed():
    plan = PlanOutline(workflow="w", path="p", event="push", jobs=())
    assert render_mermaid(plan) == "flowchart LR\n"
    ET.fromstring(render_svg(plan))


@pytest.mark.parametrize("text", ['"]; click j0 "javascript:x"', "</text><script>x</script>", "a#quot;b", "x\ny]"])
def test_pictures_of_hostile_names_hold_them_as_text(text: str):
    job = JobOutline(key=JobKey(text), needs=(), outlook=Outlook.SKIPPED, reason=text)
    plan = PlanOutline(workflow=text, path="p", event="push", jobs=(job,))
    root = ET.fromstring(render_svg(plan))
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {"svg", "title", "rect", "text", "g", "path"}
    label = render_mermaid(plan).splitlines()[1]
    assert label.count('"') == 2
    assert label.endswith('<br/>skipped"]:::skipped')
    assert "<" not in label.replace("<br/>", "")


@given(st.text())
def test_svg_of_any_text_is_well_formed(text: str):
    job = JobOutline(key=JobKey(text), needs=(), outlook=Outlook.RUNS, reason=text)
    ET.fromstring(render_svg(PlanOutline(workflow=text, path="p", event=text, jobs=(job,))))


def test_mermaid_frames_the_jobs_of_a_called_workflow(linked) -> None:
    caller = "on: push\njobs:\n  a: {uses: ./.github/workflows/w.yml}\n  b: {needs: a, runs-on: x, steps: [{run: x}]}\n"
    steps = "runs-on: x, steps: [{run: x}]"
    called = f"on: workflow_call\njobs:\n  c: {{{steps}}}\n  d: {{needs: c, {steps}}}\n"
    plan = outline(linked(caller, w=called), "push", {"github": {}, "vars": {}, "inputs": {}})
    lines = render_mermaid(plan).splitlines()
    assert lines[1:8] == [
        '    subgraph j0["a<br/>calls .github/workflows/ci.yml"]',
        '        j2["a/c<br/>x"]:::runs',
        '        j3["a/d<br/>x"]:::runs',
        "        j2 --> j3",
        "    end",
        "    class j0 runs",
        '    j1["b<br/>x"]:::runs',
    ]
    assert lines[8] == "    j0 --> j1"
