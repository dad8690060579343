"""A ``run:`` step: a script, its shell, its environment files."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import anyio

from terraphim_runner.execution.cancellation import Cancellation
from terraphim_runner.execution.environment_files import (
    FORBIDDEN_IN_ENV,
    FileCommand,
    FileCommandError,
    decode,
    parse_pairs,
    parse_paths,
)
from terraphim_runner.execution.frame import JobFrame
from terraphim_runner.execution.outcome import Outcome, StepFailure
from terraphim_runner.execution.output import OutputProcessor, StepOutput
from terraphim_runner.execution.problem_matchers import matched
from terraphim_runner.execution.shells import DEFAULT, WITHOUT_BASH, Shell, ShellError, find_shell, prepare_script
from terraphim_runner.execution.watched import watched
from terraphim_runner.model.errors import InfrastructureError
from terraphim_runner.model.job import LogKind
from terraphim_runner.model.states import Conclusion
from terraphim_runner.ports import (
    Command,
    CommandStartError,
    Exit,
    FileTooLargeError,
    GuestFile,
    Process,
    Stream,
)

_SIGINT, _SIGTERM, _SIGKILL = 2, 15, 9
_RESERVED_PREFIXES = ("GITHUB_", "RUNNER_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A ``run:`` step with everything evaluated. ``environment`` is what the step's own ``env:`` context holds."""

    number: int
    text: str
    shell: str | None
    working_directory: str
    environment: Mapping[str, str]
    action: str
    """``GITHUB_ACTION``."""
    paths: tuple[str, ...] = ()
    """What ``GITHUB_PATH`` added before it was this step's turn, oldest first."""


async def run_script(frame: JobFrame, script: Script, interrupt: Cancellation) -> Outcome:
    """Run the script to its end, or to the end of its graces once ``interrupt`` is requested.

    What the step wrote to its environment files is in the outcome, whether it failed or not. Raises ``StepFailure``
    and, when the machine is gone, ``InfrastructureError``.
    """
    try:
        shell = find_shell(script.shell)
    except ShellError as error:
        raise StepFailure(str(error)) from None
    files = _StepFiles(frame, script.number)
    path = f"{frame.layout.temp}/step-{script.number}{shell.suffix}"
    content = prepare_script(script.text, shell)
    await frame.session.write_files([GuestFile(path=path, content=content, mode=0o755), *files.empty()])
    output = frame.output(script.number, dict(script.environment))
    await _announce(frame, script, shell, output)
    command = Command(
        argv=shell.argv(path),
        env=_process_environment(frame, script, files),
        cwd=frame.layout.inside_workspace(script.working_directory),
    )
    try:
        ended = await _run(frame, command, output, interrupt)
    except CommandStartError as error:
        without_bash = replace(command, argv=WITHOUT_BASH.argv(path)) if shell is DEFAULT else None
        ended = await _run_instead(frame, without_bash, output, interrupt, error)
    outcome = await _collect(frame, script.number, files, output.result)
    if interrupt.requested:
        return replace(outcome, conclusion=Conclusion.CANCELLED, exit_code=ended.status, error=interrupt.reason)
    if not ended.ok:
        await frame.log(output.say(LogKind.ERROR, f"Process completed with exit code {ended.status}."))
        outcome = replace(outcome, conclusion=Conclusion.FAILURE)
    return replace(outcome, exit_code=ended.status)


class _StepFiles:
    """The environment files of one step, fresh for each so that steps cannot read one another's."""

    def __init__(self, frame: JobFrame, number: int) -> None:
        self._frame = frame
        self.paths = {kind: frame.layout.file_command(kind.value, number) for kind in FileCommand}

    def empty(self) -> list[GuestFile]:
        return [GuestFile(path=path, content=b"") for path in self.paths.values()]

    async def read(self, kind: FileCommand) -> str:
        limits = self._frame.request.limits
        limit = limits.summary_bytes if kind is FileCommand.SUMMARY else limits.file_command_bytes
        try:
            content = await self._frame.session.read_file(self.paths[kind], max_bytes=limit)
        except FileTooLargeError:
            raise FileCommandError(
                f"found more than {limit} bytes in ${kind.variable}, expected at most that"
            ) from None
        return decode(content or b"", kind)


def _process_environment(frame: JobFrame, script: Script, files: _StepFiles) -> dict[str, str]:
    defaults = frame.contexts.default_environment()
    environment = {**defaults, **script.environment}
    # The defaults that tell a step where it is cannot be overwritten, as on GitHub; PATH and HOME can.
    environment |= {name: value for name, value in defaults.items() if name.startswith(_RESERVED_PREFIXES)}
    environment["GITHUB_ACTION"] = script.action
    environment["PATH"] = ":".join(filter(None, (*reversed(script.paths), environment.get("PATH"))))
    environment |= {kind.variable: path for kind, path in files.paths.items()}
    return environment


async def _announce(frame: JobFrame, script: Script, shell: Shell, output: OutputProcessor) -> None:
    text = script.text.rstrip("\n")
    first = next((line for line in text.splitlines() if line.strip()), "")
    lines = output.say(LogKind.GROUP, f"Run {first}")
    lines += output.say(LogKind.COMMAND, text)
    lines += output.say(LogKind.COMMAND, f"shell: {shell.template}")
    if script.environment:
        lines += output.say(LogKind.COMMAND, "env:")
        for name, value in script.environment.items():
            lines += output.say(LogKind.COMMAND, f"  {name}: {value}")
    await frame.log([*lines, *output.say(LogKind.ENDGROUP, "")])


async def _run(frame: JobFrame, command: Command, output: OutputProcessor, interrupt: Cancellation) -> Exit:
    async def collect(stream: Stream, data: bytes) -> None:
        await frame.log(output.feed(stream, data))

    async with frame.session.exec(command, collect) as process:
        ended = await _wait(frame, process, interrupt)
    await frame.log(output.finish())
    return ended


async def _run_instead(
    frame: JobFrame,
    command: Command | None,
    output: OutputProcessor,
    interrupt: Cancellation,
    reason: CommandStartError,
) -> Exit:
    """Run the script by ``sh``, as GitHub does where the workflow names no shell and the machine has no bash.

    Raises ``StepFailure`` with the first command's reason when ``sh`` does not start either, or must not be tried.
    """
    if command is not None:
        try:
            return await _run(frame, command, output, interrupt)
        except CommandStartError:
            # The reason holds for every shell: no such directory, too long an environment.
            raise StepFailure(str(reason)) from None
    raise StepFailure(str(reason))


async def _wait(frame: JobFrame, process: Process, interrupt: Cancellation) -> Exit:
    limits = frame.request.limits

    async def escalate() -> None:
        await interrupt.wait()
        try:
            await process.signal(_SIGINT)
            await anyio.sleep(limits.interrupt_grace_s)
            await process.signal(_SIGTERM)
            await anyio.sleep(limits.terminate_grace_s)
            await process.signal(_SIGKILL)
        except InfrastructureError:
            # The machine is gone, and waiting for the process says so with more to tell.
            return

    return await watched(process.wait, escalate)


async def _collect(frame: JobFrame, number: int, files: _StepFiles, commands: StepOutput) -> Outcome:
    """Return what the step wrote for others: success, or failure when a file or a command of its is bad.

    A bad file fails the step; what stands in it before the bad entry counts nevertheless, and so do the others.
    Annotations are reported at once.
    """
    annotations = frame.state.annotations
    room = frame.request.limits.annotations_per_job - len(annotations)
    found = [*commands.annotations, *await matched(frame, number, commands)]
    for annotation in found[: max(0, room)]:
        annotations.append(annotation)
        await frame.reporter.annotation(annotation)
    environment, paths, outputs = dict(commands.environment), list(commands.paths), dict(commands.outputs)
    summary = ""
    try:
        summary = frame.masks.apply(await files.read(FileCommand.SUMMARY))
    except FileCommandError as error:
        # GitHub drops a summary that is too large and lets the step pass.
        await frame.say(number, LogKind.ERROR, f"the step summary is dropped: {error}")

    async def take_environment() -> None:
        for name, value in parse_pairs(await files.read(FileCommand.ENV), FileCommand.ENV):
            await _take_variable(frame, number, name, value, environment)

    async def take_paths() -> None:
        paths.extend(parse_paths(await files.read(FileCommand.PATH)))

    async def take_outputs() -> None:
        # Entry by entry: those before a bad one are kept.
        outputs.update(parse_pairs(await files.read(FileCommand.OUTPUT), FileCommand.OUTPUT))

    errors = list(commands.errors)
    for take in (take_environment, take_paths, take_outputs):
        try:
            await take()
        except FileCommandError as error:
            await frame.say(number, LogKind.ERROR, str(error))
            errors.append(frame.masks.apply(str(error)))
    return Outcome(
        conclusion=Conclusion.FAILURE if errors else Conclusion.SUCCESS,
        outputs=outputs,
        summary=summary,
        error="; ".join(errors) or None,
        environment=environment,
        paths=tuple(paths),
    )


async def _take_variable(frame: JobFrame, number: int, name: str, value: str, environment: dict[str, str]) -> None:
    if name.upper() == FORBIDDEN_IN_ENV:
        raise FileCommandError(f"can't store {name} through $GITHUB_ENV: it would change how actions are run")
    if name.upper().startswith(_RESERVED_PREFIXES):
        text = f"{name} is kept as it is: names that begin with GITHUB_ or RUNNER_ cannot be set through $GITHUB_ENV"
        await frame.say(number, LogKind.WARNING, text)
        return
    environment[name] = value
