"""What services ask of the durable engine."""

from typing import Protocol

from terraphim_runner.model.ids import DeliveryId, JobId


class Queue(Protocol):
    """Asking for the same thing twice is asking once."""

    async def start_intake(self, delivery_id: DeliveryId, *, number: int = 1) -> None: ...

    async def enqueue_attempt(self, job_id: JobId, attempt: int) -> None: ...

    async def attempt_ended(self, job_id: JobId, attempt: int) -> bool: ...
