"""Waiting in concurrency groups: one run's claims, carried out in the transaction that advances it.

A leg claims its groups one after another, as their names sort, each once it holds the one before: among legs alone
nobody waits in a circle. A run and a call hold groups while their jobs ask for more, so a circle is possible there,
within a run (GitHub's own "deadlock for concurrency group") and across runs. Whoever would close it is cancelled.
"""

from collections import defaultdict
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from terraphim_runner.model.ids import JobId, LegKey, RunId
from terraphim_runner.model.states import Conclusion, Status
from terraphim_runner.planning.graph import PlannedGroup
from terraphim_runner.services.legs import Effects, cancel_leg, start_leg
from terraphim_runner.store import claims, jobs, runs
from terraphim_runner.store.claims import StoredClaim, group_key

MAX_STEPS: Final = 4096
"""Looked at, in one transaction, for circles: more claims than these wait for each other in no honest workflow."""


class Turns:
    """The turns of one run that is locked, as are the groups of its repository."""

    def __init__(self, connection: Connection, run: runs.StoredRun, effects: Effects, *, now: datetime) -> None:
        self._connection = connection
        self._run = run
        self._effects = effects
        self._now = now
        self._steps_left = MAX_STEPS
        self.cancelled = run.cancelled
        """Whether the run is cancelled, be it by this."""

    def may_begin(self) -> bool:
        """Tell whether the run may be planned: it waits for nobody, or its turn has come.

        One that has to leave before anything of it was planned is completed as cancelled; one that is under way is
        marked as cancelled.
        """
        own = next((claim for claim in claims.of_run(self._connection, self._run.id) if claim.job is None), None)
        if own is None:
            return True
        reason = own.displaced
        if reason is None and self._run.cancelled and not own.holds:
            reason = self._run.cancel_reason or "the run was cancelled"
        if reason is not None:
            runs.cancel(self._connection, self._run.id, reason)
            self.cancelled = True
            if not jobs.exist(self._connection, self._run.id):
                self._effects.concerned |= runs.complete(
                    self._connection, self._run.id, Conclusion.CANCELLED, at=self._now
                )
                return False
        if own.holds:
            runs.take_turn(self._connection, self._run.id)
        else:
            runs.wait(self._connection, self._run.id)
        return own.holds

    def enter(self, job: jobs.StoredJob) -> None:
        """Start a leg, or have it wait in its concurrency groups."""
        if not job.leg.groups:
            start_leg(self._connection, job, self._effects, at=self._now)
            return
        job = jobs.wait(self._connection, job)
        self._go_on(job, [])

    def take(self) -> bool:
        """Carry out, for the run's legs, whose turn it is and who has to leave; tell whether anything changed."""
        found: defaultdict[JobId, list[StoredClaim]] = defaultdict(list)
        for claim in claims.of_run(self._connection, self._run.id):
            if claim.job is not None and claim.leg is not None:
                found[claim.job].append(claim)
        changed = False
        for own in found.values():
            changed |= self._take(own)
        return changed

    def _take(self, own: list[StoredClaim]) -> bool:
        leg = own[0].leg
        reason = next((claim.displaced for claim in own if claim.displaced is not None), None)
        its_turn = own[0].leg_status is Status.PENDING and all(claim.holds for claim in own)
        if leg is None or (reason is None and not its_turn):
            return False
        job = jobs.find(self._connection, self._run.id, leg)
        if reason is None:
            self._go_on(job, own)
        elif job.cancel_reason is None:
            cancel_leg(self._connection, job, reason, self._effects, at=self._now)
        else:
            return False
        return True

    def _go_on(self, job: jobs.StoredJob, own: list[StoredClaim]) -> None:
        """Claim the next group of a leg that holds those before it; start it when there is none."""
        held = {claim.key for claim in own}
        left = [group for group in job.leg.groups if group_key(group.name) not in held]
        if not left:
            start_leg(self._connection, job, self._effects, at=self._now)
            return
        group = min(left, key=lambda group: group.name.casefold())
        reason = self._deadlock(job, group)
        if reason is not None:
            cancel_leg(self._connection, job, reason, self._effects, at=self._now)
            return
        self._effects.concerned |= claims.add(
            self._connection, self._run.repository, self._run.id, group, job_id=job.id
        )

    def _deadlock(self, job: jobs.StoredJob, group: PlannedGroup) -> str | None:
        """Return why a leg that waited in a group would wait for ever."""
        holder = claims.holder(self._connection, self._run.repository, group_key(group.name))
        if holder is None:
            return None
        if _is_within(holder, self._run.id, job.leg.key):
            who = "the run itself" if holder.job is None else f"the call {holder.leg!r}"
            return f"a deadlock: {who} holds the concurrency group {group.name!r} that this job asks for"
        asked = {holder.key}
        ahead = [holder]
        while ahead:
            self._steps_left -= 1
            if self._steps_left < 0:
                return (
                    f"too many concurrency groups wait for each other to tell whether {group.name!r} will ever be free"
                )
            for key in sorted(claims.waited_for(self._connection, ahead.pop()) - asked):
                asked.add(key)
                following = claims.holder(self._connection, self._run.repository, key)
                if following is None:
                    continue
                if _is_within(following, self._run.id, job.leg.key):
                    return (
                        f"a deadlock: whoever holds the concurrency group {group.name!r} waits for "
                        f"{following.group.name!r}, which this run holds"
                    )
                ahead.append(following)
        return None


def _is_within(holder: StoredClaim, run: RunId, leg: LegKey) -> bool:
    """Tell whether a holder, the run, a call above or the leg itself, cannot leave before a leg is complete."""
    if holder.run != run:
        return False
    return holder.leg is None or holder.leg == leg or leg.startswith(f"{holder.leg}/")
