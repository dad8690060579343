"""Graceful cancellation: a request that steps may answer, unlike a cancel scope, which ends everything at once."""

import anyio


class Cancellation:
    """A one-way switch. ``request`` may be called more than once; the first reason stays."""

    def __init__(self) -> None:
        self._event = anyio.Event()
        self._reason = ""

    @property
    def requested(self) -> bool:
        return self._event.is_set()

    @property
    def reason(self) -> str:
        """Why, for people; empty until requested."""
        return self._reason

    def request(self, reason: str) -> None:
        if not self._event.is_set():
            self._reason = reason
            self._event.set()

    async def wait(self) -> None:
        """Return once cancellation was requested."""
        await self._event.wait()
