"""What every provider's sessions owe to commands."""

import signal

import anyio
import pytest
from contract_machine import PATH, Machine, Output

from terraphim_runner.ports import Command, CommandStartError, Exit, Stream

pytestmark = pytest.mark.anyio


async def test_exec_streams_and_code_come_back_apart(machine: Machine) -> None:
    ended, output = await machine.shell("echo out; echo err >&2; exit 7")
    assert (ended, bytes(output.stdout), bytes(output.stderr)) == (Exit(code=7), b"out\n", b"err\n")


async def test_exec_killed_by_a_signal_says_which(machine: Machine) -> None:
    ended, _ = await machine.shell("kill -TERM $$")
    assert ended == Exit(signal=signal.SIGTERM)


async def test_exec_binary_output_is_unchanged(machine: Machine) -> None:
    content = bytes(range(256)) * 1000
    _, output = await machine.run("cat", stdin=content)
    assert bytes(output.stdout) == content


async def test_exec_fifty_megabytes_arrive_whole(machine: Machine) -> None:
    count = 0

    async def sink(stream: Stream, data: bytes) -> None:
        nonlocal count
        assert stream is Stream.STDOUT
        count += len(data)

    async with machine.session.exec(machine.command("head", "-c", "50000000", "/dev/zero"), sink) as process:
        assert (await process.wait()).ok
    assert count == 50_000_000


async def test_exec_large_stdin_nobody_reads_ends_all_the_same(machine: Machine) -> None:
    ended, _ = await machine.run("true", stdin=b"x" * 3_000_000)
    assert ended.ok


async def test_exec_no_stdin_reads_as_empty(machine: Machine) -> None:
    ended, output = await machine.run("cat")
    assert ended.ok
    assert output.stdout == b""


async def test_exec_environment_is_exactly_what_was_given(machine: Machine) -> None:
    output = Output()
    env = {"PATH": PATH, "EMPTY": "", "WITH_EQUALS": "a=b", "LINES_": "1\n2", "UNICODE": "grüß"}
    command = Command(argv=("env", "-0"), env=env, cwd="/")
    async with machine.session.exec(command, output) as process:
        await process.wait()
    entries = [entry for entry in output.stdout.decode().split("\0") if entry]
    assert dict(entry.split("=", 1) for entry in entries) == env


async def test_exec_signals_that_the_agent_ignores_are_not_ignored_by_commands(machine: Machine) -> None:
    # 32 and 33 are the C library's own; nobody can reset them.
    ignored = int(await machine.text("sed -n 's/^SigIgn:\\t//p' /proc/self/status"), 16) & ~(3 << 31)
    assert ignored == 0
    assert int(await machine.text("sed -n 's/^SigBlk:\\t//p' /proc/self/status"), 16) == 0


async def test_exec_nothing_of_the_agents_is_inherited(machine: Machine) -> None:
    assert await machine.text("ls /proc/self/fd") == "0\n1\n2\n3"


async def test_exec_working_directory_missing_is_told(machine: Machine) -> None:
    with pytest.raises(CommandStartError, match="working directory '/nowhere' does not exist"):
        await machine.run("true", cwd="/nowhere")


async def test_exec_program_missing_is_told(machine: Machine) -> None:
    with pytest.raises(CommandStartError, match="no program 'no-such-program' in PATH"):
        await machine.run("no-such-program")


async def test_exec_directory_as_program_is_told(machine: Machine) -> None:
    with pytest.raises(CommandStartError, match="/etc"):
        await machine.run("/etc")


async def test_exec_nul_in_an_argument_is_told(machine: Machine) -> None:
    with pytest.raises(CommandStartError, match="NUL"):
        await machine.run("echo", "a\0b")


@pytest.mark.vm
@pytest.mark.parametrize("kind", ["qemu"])
async def test_exec_user_is_switched_with_its_groups(machine: Machine) -> None:
    assert await machine.text("id -un; id -Gn") == "runner\nrunner"
    assert await machine.text("id -un; id -Gn", user="root") == "root\nroot"
    ended, output = await machine.shell("sudo -n id -un")
    # It knows its own name, or sudo would complain on stderr.
    assert (ended.code, bytes(output.stdout), bytes(output.stderr)) == (0, b"root\n", b"")
    assert await machine.text("sed -n 's/^CapEff:\\t//p' /proc/self/status") == "0" * 16
    assert await machine.text("stat -c %U /proc/1", user="root") == "root"


@pytest.mark.vm
@pytest.mark.parametrize("kind", ["qemu"])
async def test_exec_unknown_user_is_told(machine: Machine) -> None:
    with pytest.raises(CommandStartError, match="no user 'nobody-here'"):
        await machine.run("true", user="nobody-here")


@pytest.mark.vm
@pytest.mark.parametrize("kind", ["qemu"])
async def test_exec_group_membership_that_a_step_adds_counts_for_the_next(machine: Machine) -> None:
    await machine.text("sudo usermod -aG cdrom runner")
    assert "cdrom" in await machine.text("id -Gn")


async def test_signal_reaches_the_whole_group(machine: Machine) -> None:
    output = Output()
    child = "sh -c 'trap \"echo child; exit\" INT; echo ready; while :; do sleep 0.05; done'"
    script = f"trap 'echo caught; exit 3' INT; {child}; wait"
    async with machine.session.exec(machine.command("sh", "-c", script), output) as process:
        await output.until(b"ready")
        with anyio.fail_after(20):
            await process.signal(signal.SIGINT)
            ended = await process.wait()
    assert ended == Exit(code=3)
    assert b"caught" in output.stdout


async def test_signal_after_the_end_does_nothing(machine: Machine) -> None:
    async with machine.session.exec(machine.command("true"), Output()) as process:
        assert (await process.wait()).ok
        await process.signal(signal.SIGKILL)
        assert (await process.wait()).ok


async def test_exec_left_early_kills_the_group(machine: Machine) -> None:
    output = Output()
    async with machine.session.exec(machine.command("sh", "-c", "sleep 1000 & echo $!; wait"), output):
        await output.until(b"\n")
    child = output.stdout.decode().strip()
    look = f"grep -q '^State:.[^Z]' /proc/{child}/status 2>/dev/null"
    script = f"for _ in $(seq 100); do {look} || exit 0; sleep 0.05; done; exit 1"
    assert (await machine.shell(script))[0].ok


async def test_exec_cancelled_kills_the_command_and_leaves_the_session_good(machine: Machine) -> None:
    with anyio.move_on_after(0.3) as scope:
        await machine.shell("yes")
    assert scope.cancelled_caught
    assert await machine.text("echo fine") == "fine"


async def test_exec_child_that_holds_the_output_is_waited_for_a_short_grace_only(machine: Machine) -> None:
    with anyio.fail_after(15):
        ended, output = await machine.shell("(sleep 1000) & echo started")
    assert ended.ok
    assert output.stdout == b"started\n"


async def test_exec_output_of_a_slow_sink_is_complete_although_a_child_lives_on(machine: Machine) -> None:
    count = 0

    async def slow(_stream: Stream, data: bytes) -> None:
        nonlocal count
        await anyio.sleep(0.05)
        count += len(data)

    script = "(sleep 1000) & head -c 2000000 /dev/zero"
    async with machine.session.exec(machine.command("sh", "-c", script), slow) as process:
        with anyio.fail_after(60):
            assert (await process.wait()).ok
    assert count == 2_000_000


async def test_exec_sink_that_raises_is_heard_by_wait(machine: Machine) -> None:
    async def broken(_stream: Stream, _data: bytes) -> None:
        raise ValueError("the disk of the logs is full")

    async with machine.session.exec(machine.command("sh", "-c", "echo x; sleep 1000"), broken) as process:
        with pytest.raises(ValueError, match="disk of the logs"):
            await process.wait()
    assert await machine.text("echo fine") == "fine"


async def test_exec_fifty_at_once_do_not_mix(machine: Machine) -> None:
    results: dict[int, bytes] = {}

    async def one(number: int) -> None:
        _, output = await machine.shell(f"head -c 3000 /dev/zero | tr '\\0' '{chr(65 + number % 26)}'")
        results[number] = bytes(output.stdout)

    async with anyio.create_task_group() as tasks:
        for number in range(50):
            tasks.start_soon(one, number)
    assert results == {number: chr(65 + number % 26).encode() * 3000 for number in range(50)}
