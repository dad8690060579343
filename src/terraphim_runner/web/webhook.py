"""``POST /webhook``: verify, decode, store, answer; everything else happens afterwards.

The answer does not wait for git, so the runs are not known yet: ``runs`` is the address where they will appear.
"""

import logging
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, TypeVar, TypeVarTuple

import anyio.to_thread
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from terraphim_runner.github.webhooks import (
    Ignored,
    PayloadError,
    SignatureError,
    SignatureMissingError,
    WebhookSecrets,
    decode,
    verify,
)
from terraphim_runner.model.errors import InfrastructureError
from terraphim_runner.model.event import Delivery, Event
from terraphim_runner.model.ids import DeliveryId
from terraphim_runner.ports import Clock
from terraphim_runner.services.intake import Intake
from terraphim_runner.web.bodies import BodyReader, BodyTimeoutError, BodyTooLargeError, BufferFullError

_DELIVERY: Final = re.compile(r"[A-Za-z0-9-]{1,64}", re.ASCII)
_EVENT: Final = re.compile(r"[a-z][a-z0-9_]{0,63}", re.ASCII)
_STARTING_ACTIONS: Final = frozenset({"opened", "synchronize", "reopened"})
_IN_LOOP_BYTES: Final = 64 * 1024
"""Larger bodies are verified and decoded in a thread, for the loop must not stand still."""

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

log = logging.getLogger(__name__)


def webhook_routes(*, intake: Intake, secrets: WebhookSecrets, bodies: BodyReader, clock: Clock) -> APIRouter:
    """Return the route of the webhook."""
    router = APIRouter()

    @router.post("/webhook")
    async def webhook(request: Request) -> JSONResponse:
        """Take a delivery of GitHub's. It is stored before the reply; the same delivery id never runs twice."""
        return await _receive(request, intake=intake, secrets=secrets, bodies=bodies, clock=clock)

    return router


async def _receive(
    request: Request, *, intake: Intake, secrets: WebhookSecrets, bodies: BodyReader, clock: Clock
) -> JSONResponse:
    received_at = clock.now()
    try:
        async with bodies.held(request) as body:
            return await _take(request, body, intake=intake, secrets=secrets, received_at=received_at)
    except BodyTooLargeError as error:
        return _refuse(413, str(error))
    except BodyTimeoutError as error:
        return _refuse(408, str(error))
    except BufferFullError as error:
        return _refuse(503, str(error))


async def _take(
    request: Request, body: bytes, *, intake: Intake, secrets: WebhookSecrets, received_at: datetime
) -> JSONResponse:
    try:
        await _outside_of_the_loop(len(body), verify, secrets, body, request.headers.get("x-hub-signature-256"))
    except SignatureMissingError as error:
        return _refuse(400, str(error))
    except SignatureError as error:
        log.warning("a webhook was refused: %s", error)
        return _refuse(403, str(error))
    delivery_id = request.headers.get("x-github-delivery", "")
    event_name = request.headers.get("x-github-event", "")
    if not _DELIVERY.fullmatch(delivery_id):
        return _refuse(
            400, "the header X-GitHub-Delivery is missing or not an id: expected up to 64 letters, digits, -"
        )
    if not _EVENT.fullmatch(event_name):
        return _refuse(400, "the header X-GitHub-Event is missing or not an event's name, such as 'push'")
    delivery = Delivery(id=DeliveryId(delivery_id), event=event_name, body=body, received_at=received_at)
    try:
        decoded = await _outside_of_the_loop(len(body), decode, delivery)
    except PayloadError as error:
        return _refuse(400, str(error))
    try:
        is_new = await intake.accept(delivery, ignored=decoded if isinstance(decoded, Ignored) else None)
    except InfrastructureError as error:
        # What the database said stays here; GitHub shows the answer, and its sender can deliver again.
        log.error("delivery %s was refused: %s", delivery_id, error)  # noqa: TRY400 - the message is all there is to know
        return _refuse(503, "the delivery could not be stored; deliver it again when the server is well")
    return JSONResponse(_reply(delivery, decoded, is_new=is_new))


async def _outside_of_the_loop(size_bytes: int, function: Callable[[*Ts], T], *arguments: *Ts) -> T:
    """Call a function whose time grows with the body's size: in a thread unless that is small."""
    if size_bytes <= _IN_LOOP_BYTES:
        return function(*arguments)
    return await anyio.to_thread.run_sync(function, *arguments)


def _reply(delivery: Delivery, decoded: Event | Ignored, *, is_new: bool) -> dict[str, Any]:
    message, status = f"Webhook received (action={decoded.action or 'none'})", "acknowledged"
    if not is_new:
        message = f"Delivery {delivery.id} was received before and does not run again"
    elif isinstance(decoded, Event) and decoded.name == "push":
        message, status = f"Push webhook received for {decoded.ref}", "success"
    elif isinstance(decoded, Event) and decoded.name == "pull_request" and decoded.action in _STARTING_ACTIONS:
        message, status = "Pull request webhook received and workflow execution started", "success"
    return {
        "message": message,
        "status": status,
        "delivery": delivery.id,
        "runs": f"/api/runs?delivery={delivery.id}",
    }


def _refuse(status: int, message: str) -> JSONResponse:
    return JSONResponse({"message": message, "status": "error"}, status_code=status)
