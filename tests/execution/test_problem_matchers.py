"""Problem matchers of a job. What they find is in the golden cases; here is what goes wrong with them."""

import json

import pytest

from terraphim_runner.execution import JobLimits
from terraphim_runner.model.job import LogKind

STEPS = """
- uses: actions/checkout@v4
- run: |
    echo '::add-matcher::lint.json'
    cat text
- run: echo 'E later'
"""


def files(regexp, text):
    pattern = {"regexp": regexp, "message": 1}
    matchers = {"problemMatcher": [{"owner": "lint", "pattern": [pattern]}]}
    return {"lint.json": json.dumps(matchers).encode(), "text": text.encode()}


def warnings(ran):
    return [line.text for line in ran.recorder.lines if line.kind is LogKind.WARNING]


@pytest.mark.anyio
async def test_matchers_that_take_for_ever_are_ended_and_switched_off(run):
    limits = JobLimits(problem_matchers_s=0.3)
    ran = await run(STEPS, files=files("^(a+)+$", "a" * 60 + "b\n"), limits=limits)
    assert ran.result.conclusion == "success"
    assert warnings(ran) == [
        "the problem matchers were not applied, and are off now: they took more than 0.3 s",
    ]


@pytest.mark.anyio
async def test_matchers_see_a_bounded_part_of_a_long_output(run):
    ran = await run(STEPS, files=files("^E (.*)$", "E first\n" + "x" * 200 + "\n" + ("y" * 1000 + "\n") * 1100))
    assert [item.message for item in ran.result.annotations] == ["first", "later"]
    [said] = warnings(ran)
    assert said.startswith("the problem matchers did not see the last ")


@pytest.mark.anyio
async def test_matchers_find_at_most_ten_problems_of_a_level_in_a_step(run):
    text = "".join(f"E {number}\n" for number in range(30))
    ran = await run(STEPS, files=files("^E (.*)$", text))
    assert [item.message for item in ran.result.annotations] == [*map(str, range(10)), "later"]
