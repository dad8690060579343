"""One job in one session, from the first line of its log to its outputs."""

import json
from datetime import datetime

import anyio

from terraphim_runner.execution.background import BackgroundSteps
from terraphim_runner.execution.contexts import JobContexts, evaluate_environment
from terraphim_runner.execution.deployment import tell_environment
from terraphim_runner.execution.frame import JobFrame
from terraphim_runner.execution.hash_files import with_digests
from terraphim_runner.execution.layout import Layout
from terraphim_runner.execution.masks import Masks
from terraphim_runner.execution.output import LogBudget
from terraphim_runner.execution.request import JobRequest
from terraphim_runner.execution.step import shown
from terraphim_runner.execution.turns import turns
from terraphim_runner.execution.watched import watched
from terraphim_runner.expressions import EvaluationError, render
from terraphim_runner.model.errors import InfrastructureError
from terraphim_runner.model.job import JobResult, LogKind
from terraphim_runner.ports import Clock, Command, GuestFile, JobReporter, Session, Stream, SystemClock

_SETUP_DEADLINE_S = 60.0


async def run_job(
    request: JobRequest, session: Session, reporter: JobReporter, *, clock: Clock | None = None
) -> JobResult:
    """Run every step of the job and return its result; the verdict follows GitHub's rules.

    The job's own failure is a result. Raises ``InfrastructureError`` when the machine is lost: what ran until then has
    been reported. Ends at the latest ``limits.cancel_s`` after cancellation was requested or the job's
    ``timeout-minutes`` ran out.
    """
    frame = _frame(request, session, reporter, clock or SystemClock())
    started_at = frame.clock.now()
    await _set_up(frame)
    error = await _environment_error(frame)
    if error is None:
        await _run_steps(frame)
        await tell_environment(frame)
        outputs, error = await _outputs(frame)
    else:
        outputs = {}
    if error is not None:
        frame.state.failed = True
        await frame.say(0, LogKind.ERROR, error)
    if frame.stop.requested:
        frame.state.cancelled = True
        error = error or frame.stop.reason
        await frame.say(0, LogKind.ERROR, f"the job was cancelled: {frame.stop.reason}")
    return _result(frame, started_at, outputs, error)


def _frame(request: JobRequest, session: Session, reporter: JobReporter, clock: Clock) -> JobFrame:
    repository = str(request.contexts.get("github", {}).get("repository", "") or "repository")
    layout = Layout(home=session.home, repository_name=repository.rsplit("/", 1)[-1])
    masks = Masks(limit=request.limits.masks)
    for name, secret in request.secrets.items():
        if secret and not masks.add(secret.reveal()):
            raise InfrastructureError(
                doing=f"mask the secret {name!r}", reason=f"found more than {request.limits.masks} values to hide"
            )
    return JobFrame(
        request=request,
        session=session,
        reporter=reporter,
        clock=clock,
        layout=layout,
        contexts=JobContexts(request, layout),
        masks=masks,
        environment=dict(request.environment),
        budget=LogBudget(left_bytes=request.limits.log_bytes),
        turns=turns(request.job.steps),
    )


def _result(frame: JobFrame, started_at: datetime, outputs: dict[str, str], error: str | None) -> JobResult:
    return JobResult(
        conclusion=frame.state.status,
        started_at=started_at,
        completed_at=frame.clock.now(),
        steps=tuple(shown(frame, result) for result in sorted(frame.state.results, key=lambda item: item.number)),
        outputs=outputs,
        annotations=tuple(frame.state.annotations),
        error=frame.masks.apply(error) if error else None,
    )


async def _set_up(frame: JobFrame) -> None:
    """Make the directories that documentation promises and write the event's payload."""
    layout = frame.layout
    await frame.say(0, LogKind.GROUP, "Set up job")
    await frame.say(0, LogKind.OUTPUT, f"machine {frame.session.id}: {frame.session.description}")
    await frame.say(0, LogKind.OUTPUT, f"job {frame.request.leg.name}")
    await frame.say(0, LogKind.ENDGROUP, "")
    directories = [layout.workspace, layout.file_commands, layout.tool_cache, layout.event_file.rsplit("/", 1)[0]]
    script = 'mkdir -p "$@"'
    if layout.in_machine:
        # The image's own /workspace, when it has one, is an empty directory.
        script += f' && chown runner: /home/runner/work {layout.runner_workspace} {layout.temp} "$@"'
        script += f" && {{ [ ! -d /workspace ] || rmdir /workspace; }} && ln -sfn {layout.workspace} /workspace"
    event = json.dumps(frame.contexts.event, ensure_ascii=False).encode("utf-8", "surrogateescape")
    with anyio.fail_after(_SETUP_DEADLINE_S):
        await _prepare(frame, ("sh", "-ec", script, "sh", *directories))
        await frame.session.write_files([GuestFile(path=layout.event_file, content=event)])


async def _prepare(frame: JobFrame, argv: tuple[str, ...]) -> None:
    said = bytearray()

    async def collect(stream: Stream, data: bytes) -> None:
        del stream
        said.extend(data[: 4096 - len(said)])

    command = Command(argv=argv, env=frame.contexts.default_environment(), cwd="/", user="root")
    async with frame.session.exec(command, collect) as process:
        ended = await process.wait()
    if not ended.ok:
        reason = said.decode("utf-8", "replace").strip() or f"exit status {ended.status}"
        raise InfrastructureError(doing="make the job's directories", reason=reason)


async def _environment_error(frame: JobFrame) -> str | None:
    """Evaluate ``env:`` of the workflow, then of the job; return what is wrong with them."""
    for where, template in (("workflow", frame.request.workflow.env), ("job", frame.request.job.env)):
        scope = frame.contexts.scope(state=frame.state, env=frame.environment)
        try:
            frame.environment.update(evaluate_environment(template, scope))
        except EvaluationError as error:
            return f"the {where}'s env cannot be evaluated: {error}"
    return None


async def _run_steps(frame: JobFrame) -> None:
    scope = anyio.CancelScope()
    steps = BackgroundSteps(frame)

    async def watch_request() -> None:
        await frame.request.cancellation.wait()
        frame.stop.request(frame.request.cancellation.reason)

    async def watch_time() -> None:
        minutes = frame.request.leg.timeout_minutes
        await anyio.sleep(minutes * 60)
        frame.stop.request(f"the job has exceeded the maximum execution time of {minutes:g} minutes")

    async def enforce_deadline() -> None:
        await frame.stop.wait()
        await anyio.sleep(frame.request.limits.cancel_s(frame.request.leg))
        scope.cancel()

    async def run_all() -> None:
        with scope:
            await steps.run(frame.turns)
        steps.settle()

    await watched(run_all, watch_request, watch_time, enforce_deadline)


async def _outputs(frame: JobFrame) -> tuple[dict[str, str], str | None]:
    """Evaluate ``outputs:``: all of them, or none and the reason.

    One that holds a secret is dropped with a warning, an empty one without, as on GitHub.
    """
    outputs: dict[str, str] = {}
    for name, template in frame.request.job.outputs.items():
        try:
            text = await with_digests(
                frame,
                lambda hash_files, template=template: render(
                    template,
                    frame.contexts.scope(
                        state=frame.state, env={**frame.environment, **frame.state.environment}, hash_files=hash_files
                    ),
                ),
            )
        except EvaluationError as error:
            return {}, f"the output {name!r} cannot be evaluated: {error}"
        if not text:
            continue
        if frame.masks.hides(text):
            await frame.say(0, LogKind.WARNING, f"skip output {name!r} since it may contain secret.")
            continue
        outputs[name] = text
    return outputs, None
