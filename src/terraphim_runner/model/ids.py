"""Identifiers. Each kind is its own type, so that a job's id cannot stand where a run's is meant."""

from typing import NewType

DeliveryId = NewType("DeliveryId", str)
"""GitHub's ``X-GitHub-Delivery`` header, a GUID."""

RunId = NewType("RunId", str)
"""One workflow, triggered by one event."""

JobId = NewType("JobId", str)
"""One matrix leg of one job of one run, unique in the whole store. Not the key under ``jobs:``."""

JobKey = NewType("JobKey", str)
"""The key under ``jobs:`` in the workflow file, such as ``build``."""

LegKey = NewType("LegKey", str)
"""One leg inside its run: ``build`` without a matrix, ``build/0``, ``build/1`` … with one."""

SessionId = NewType("SessionId", str)
"""One VM that is leased to one job."""

HostId = NewType("HostId", str)
"""One machine that runs VMs. Kept across restarts."""
