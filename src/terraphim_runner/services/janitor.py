"""Keeping the disk from filling with what is long over: old runs, their logs, and old deliveries."""

import logging
from datetime import timedelta

import anyio
import anyio.to_thread

from terraphim_runner.ports import Clock
from terraphim_runner.store import retention
from terraphim_runner.store.database import Database
from terraphim_runner.store.logs import LogStore

PERIOD_S = 3600.0

log = logging.getLogger(__name__)


class Janitor:
    """Forgets what was completed more than ``keep`` ago."""

    def __init__(self, *, database: Database, logs: LogStore, keep: timedelta, clock: Clock) -> None:
        self._database = database
        self._logs = logs
        self._keep = keep
        self._clock = clock

    async def run_for_ever(self) -> None:
        """Clean now and again; trouble with one round is logged and left to the next."""
        while True:
            try:
                await self.clean_once()
            except Exception:
                log.exception("could not forget old runs")
            await anyio.sleep(PERIOD_S)

    async def clean_once(self) -> int:
        """Forget everything that is old enough; return how many runs. A run's log goes first, then its rows go.

        A crash in between leaves a run without its log, never a log that nobody knows of.
        """
        before = self._clock.now() - self._keep
        count = 0
        while found := await self._database.read(retention.old_runs, before=before):
            for run_id in found:
                await anyio.to_thread.run_sync(self._logs.remove, run_id)
            await self._database.write(retention.forget_runs, found)
            count += len(found)
        while await self._database.write(retention.forget_deliveries, before=before):
            pass
        if count:
            log.info("forgot %d runs that ended before %s", count, before.isoformat(timespec="seconds"))
        return count
