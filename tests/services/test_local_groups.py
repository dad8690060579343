"""Concurrency groups within one run."""

from terraphim_runner.planning.graph import PlannedGroup
from terraphim_runner.services.local_groups import LocalGroups
from terraphim_runner.workflow.tree import Queue


def group(name, **rules):
    return PlannedGroup(name=name, **rules)


def test_leg_without_groups_goes_on_at_once():
    groups = LocalGroups()
    assert groups.ask("a", (), ()) is None
    assert groups.arrange().granted == ("a",)
    assert groups.arrange().granted == ()


def test_legs_of_one_group_go_one_after_another_in_the_order_they_came():
    groups = LocalGroups()
    line = group("Solo", queue=Queue.MAX)
    for leg in ("a", "b", "c"):
        assert groups.ask(leg, (line,), ()) is None
    assert groups.arrange().granted == ("a",)
    assert groups.arrange().granted == ()
    groups.leave("a")
    assert groups.arrange().granted == ("b",)
    groups.leave("b")
    assert groups.arrange().granted == ("c",)


def test_leg_of_two_groups_waits_for_both():
    groups = LocalGroups()
    groups.ask("a", (group("x"),), ())
    groups.ask("b", (group("y"),), ())
    assert groups.arrange().granted == ("a", "b")
    groups.ask("c", (group("x"), group("y")), ())
    assert groups.arrange().granted == ()
    groups.leave("a")
    assert groups.arrange().granted == ()
    groups.leave("b")
    assert groups.arrange().granted == ("c",)


def test_newer_leg_displaces_the_one_that_waits():
    groups = LocalGroups()
    groups.ask("a", (group("X"),), ())
    assert groups.arrange().granted == ("a",)
    groups.ask("b", (group("x"),), ())
    assert groups.arrange().displaced == ()
    groups.ask("c", (group("x"),), ())
    [(leg, reason)] = groups.arrange().displaced
    assert leg == "b"
    assert "takes its place" in reason
    groups.leave("b")
    groups.leave("a")
    assert groups.arrange().granted == ("c",)


def test_newer_leg_that_cancels_displaces_the_one_in_progress_once():
    groups = LocalGroups()
    groups.ask("a", (group("x"),), ())
    groups.arrange()
    groups.ask("b", (group("x", cancel_in_progress=True),), ())
    change = groups.arrange()
    assert [leg for leg, _ in change.displaced] == ["a"]
    assert change.granted == ()
    assert groups.arrange().displaced == ()
    groups.leave("a")
    assert groups.arrange().granted == ("b",)


def test_group_of_the_run_itself_is_refused_to_everybody_in_it():
    groups = LocalGroups(group("Main"))
    refusal = groups.ask("a", (group("other"), group("main")), ())
    assert refusal == "it asks for the concurrency group 'main', which its own run holds"
    assert groups.ask("b", (group("other"),), ()) is None
    assert groups.arrange().granted == ("b",)


def test_group_of_a_call_is_refused_to_the_jobs_below_it():
    groups = LocalGroups()
    groups.ask("call", (group("x"),), ())
    groups.arrange()
    refusal = groups.ask("call/build", (group("X"),), ("call",))
    assert refusal == "it asks for the concurrency group 'X', which 'call' holds, that it is part of"
    assert groups.ask("other", (group("x"),), ()) is None
