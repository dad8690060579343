"""From a workflow to one with everything that it calls: fetching round by round, and keeping what was fetched."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import anyio
import anyio.to_thread

from terraphim_runner.model.errors import InfrastructureError
from terraphim_runner.workflow.linking import CalledFile, FileReference, Linked, Linker
from terraphim_runner.workflow.tree import CallJob, Workflow

DEADLINE_S: Final = 600.0

Fetch = Callable[[FileReference], Awaitable[CalledFile | None]]
"""Returns what a reference leads to; None when it is not to be fetched, and stays missing.

All that it is asked for is for one run: one ref means one commit. Raises ``InfrastructureError`` for trouble on the
way.
"""


async def resolve(workflow: Workflow, fetch: Fetch, *, deadline_s: float = DEADLINE_S) -> Linked:
    """Return the workflow with all that it calls, once nothing is missing, or with what is wrong.

    Each file is fetched and parsed once; with an error nothing more is fetched. Raises a retryable
    ``InfrastructureError`` past the deadline.
    """
    if not any(isinstance(job, CallJob) for job in workflow.jobs.values()):
        return Linked(workflow=workflow)
    linker = Linker(workflow)
    refused: set[FileReference] = set()
    try:
        with anyio.fail_after(deadline_s):
            while True:
                linked = await anyio.to_thread.run_sync(linker.link)
                wanted = [reference for reference in linked.missing if reference not in refused]
                if linked.has_errors or not wanted:
                    return linked
                for reference in wanted:
                    file = await fetch(reference)
                    if file is None:
                        refused.add(reference)
                    else:
                        await anyio.to_thread.run_sync(linker.add, reference, file)
    except TimeoutError:
        raise InfrastructureError(
            doing=f"fetch the workflows that {workflow.path!r} calls",
            reason=f"it took more than {deadline_s:g} s",
            retryable=True,
        ) from None


def called_to_json(linked: Linked) -> list[dict[str, Any]]:
    """Return the called files as plain JSON values: with them ``link`` gives the same workflow again."""
    return [
        {
            "repository": reference.repository,
            "ref": reference.ref,
            "path": reference.path,
            "sha": file.sha,
            "text": file.text,
        }
        for reference, file in linked.files.items()
    ]
