"""Webhook deliveries: stored before they are answered, and never taken in twice."""

from collections.abc import Collection
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects import postgresql, sqlite

from terraphim_runner.model.event import Delivery
from terraphim_runner.model.ids import DeliveryId
from terraphim_runner.store.tables import deliveries, plain


class DeliveryState(StrEnum):
    """How far a delivery came. All but ``RECEIVED`` are final."""

    RECEIVED = "received"
    PROCESSED = "processed"
    """Its runs, if it triggered any, are stored."""
    IGNORED = "ignored"
    FAILED = "failed"
    """It could not be taken in: the note says why."""


def insert(connection: Connection, delivery: Delivery) -> bool:
    """Store a delivery; return False, and change nothing, when its id was stored before."""
    values = {
        "id": delivery.id,
        "event": delivery.event,
        "body": delivery.body,
        "received_at": delivery.received_at,
        "state": DeliveryState.RECEIVED,
        "tries": 1,
        "note": "",
    }
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(deliveries).values(values).on_conflict_do_nothing(index_elements=["id"])
    return connection.execute(statement.returning(deliveries.c.id)).first() is not None


def load(connection: Connection, delivery_id: DeliveryId) -> tuple[Delivery, DeliveryState] | None:
    """Return a delivery and its state, or None when there is none of this id."""
    row = connection.execute(select(deliveries).where(deliveries.c.id == delivery_id)).one_or_none()
    if row is None:
        return None
    delivery = Delivery(id=DeliveryId(row.id), event=row.event, body=bytes(row.body), received_at=row.received_at)
    return delivery, DeliveryState(row.state)


def settle(connection: Connection, delivery_id: DeliveryId, *, state: DeliveryState, note: str, at: datetime) -> None:
    """Record how it ended. A delivery that is settled already stays as it is."""
    connection.execute(
        update(deliveries)
        .where(deliveries.c.id == delivery_id, deliveries.c.state == DeliveryState.RECEIVED)
        .values(state=state, note=note[:4000], settled_at=at)
    )


def retry_unsettled(
    connection: Connection, *, before: datetime, busy: Collection[DeliveryId]
) -> list[tuple[DeliveryId, int]]:
    """Count one more try for every delivery that came before a time, is not settled and not in ``busy``.

    Returns them with their number of tries, oldest first.
    """
    found = connection.execute(
        select(deliveries.c.id, deliveries.c.tries)
        .where(deliveries.c.state == DeliveryState.RECEIVED, deliveries.c.received_at < before)
        .order_by(deliveries.c.received_at)
        .with_for_update()
    ).all()
    retried = [(DeliveryId(row.id), row.tries + 1) for row in found if row.id not in busy]
    for delivery_id, tries in retried:
        connection.execute(update(deliveries).where(deliveries.c.id == delivery_id).values(tries=tries))
    return retried


def describe(connection: Connection, delivery_id: DeliveryId) -> dict[str, Any] | None:
    """Return what people may see of a delivery: everything but its body."""
    columns = [column for column in deliveries.c if column.name != "body"]
    row = connection.execute(select(*columns).where(deliveries.c.id == delivery_id)).one_or_none()
    return plain(row) if row is not None else None
