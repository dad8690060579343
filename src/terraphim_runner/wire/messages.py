"""The payloads that have a structure: one ``encode_…``/``decode_…`` pair each. Decoding raises ``ProtocolError``.

Texts are UTF-8 with ``surrogateescape``, so that any file name and any variable passes unchanged.
"""

from __future__ import annotations

import struct

from terraphim_runner.wire.frames import VERSION, ProtocolError

NOT_FOUND = 1
TOO_LARGE = 2
REFUSED = 3
"""The machine is well, but this cannot be done: no such directory, no permission, a full disk, a bad archive."""
ABORTED = 4
FAILURES = frozenset({NOT_FOUND, TOO_LARGE, REFUSED, ABORTED})

_LENGTH = struct.Struct("!I")
_EXEC = struct.Struct("!BII")
_EXIT = struct.Struct("!BI")
_WRITE = struct.Struct("!IQ")
_READ = struct.Struct("!Q")
_RESUME = struct.Struct("!Q")
_STATS = struct.Struct("!QQ")
_HELLO = struct.Struct("!H")
_FAIL = struct.Struct("!B")
_MAX_REASON = 2000


class Exec:
    """A command to start. ``user`` may be empty: run as the agent itself."""

    __slots__ = ("argv", "cwd", "env", "has_stdin", "user")

    def __init__(self, argv: list[str], env: dict[str, str], cwd: str, user: str, *, has_stdin: bool) -> None:
        self.argv = argv
        self.env = env
        self.cwd = cwd
        self.user = user
        self.has_stdin = has_stdin


def encode_exec(command: Exec) -> bytes:
    env = [f"{name}={value}" for name, value in command.env.items()]
    head = _EXEC.pack(command.has_stdin, len(command.argv), len(env))
    return head + _join([command.cwd, command.user, *command.argv, *env])


def decode_exec(payload: bytes) -> Exec:
    has_stdin, argument_count, variable_count = _head(_EXEC, payload)
    fields = _split(payload, _EXEC.size)
    if len(fields) != 2 + argument_count + variable_count or argument_count == 0:
        raise ProtocolError(f"found {len(fields)} fields in a command, expected its counts to agree")
    env: dict[str, str] = {}
    for text in fields[2 + argument_count :]:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise ProtocolError("found an environment variable without a name")
        env[name] = value
    return Exec(fields[2 : 2 + argument_count], env, fields[0], fields[1], has_stdin=bool(has_stdin))


def encode_exit(status: int) -> bytes:
    """Encode what ``os.waitstatus_to_exitcode`` returns: a code, or a signal as a negative number."""
    return _EXIT.pack(status < 0, abs(status))


def decode_exit(payload: bytes) -> int:
    by_signal, number = _whole(_EXIT, payload)
    if by_signal not in (0, 1) or number > (64 if by_signal else 255):
        raise ProtocolError(f"found the exit status {number}, expected 0 to 255, or a signal up to 64")
    return -number if by_signal else number


def encode_write(path: str, owner: str, mode: int, size: int) -> bytes:
    return _WRITE.pack(mode, size) + _join([path, owner])


def decode_write(payload: bytes) -> tuple[str, str, int, int]:
    mode, size = _head(_WRITE, payload)
    path, owner = _exactly(2, payload, _WRITE.size)
    return path, owner, mode & 0o7777, size


def encode_read(path: str, max_bytes: int) -> bytes:
    return _READ.pack(max_bytes) + _join([path])


def decode_read(payload: bytes) -> tuple[str, int]:
    (max_bytes,) = _head(_READ, payload)
    (path,) = _exactly(1, payload, _READ.size)
    return path, max_bytes


def encode_unpack(destination: str, owner: str) -> bytes:
    return _join([destination, owner])


def decode_unpack(payload: bytes) -> tuple[str, str]:
    destination, owner = _exactly(2, payload, 0)
    return destination, owner


class Resume:
    """What a machine that was copied needs before its first command, or two copies would be twins."""

    __slots__ = ("entropy", "hostname", "machine_id", "time_ns")

    def __init__(self, *, time_ns: int, entropy: bytes, hostname: str, machine_id: str) -> None:
        self.time_ns = time_ns
        self.entropy = entropy
        self.hostname = hostname
        self.machine_id = machine_id


def encode_resume(resume: Resume) -> bytes:
    return _RESUME.pack(resume.time_ns) + _join([resume.hostname, resume.machine_id, resume.entropy.hex()])


def decode_resume(payload: bytes) -> Resume:
    (time_ns,) = _head(_RESUME, payload)
    hostname, machine_id, entropy = _exactly(3, payload, _RESUME.size)
    try:
        raw = bytes.fromhex(entropy)
    except ValueError as error:
        raise ProtocolError("found entropy that is not hexadecimal") from error
    return Resume(time_ns=time_ns, entropy=raw, hostname=hostname, machine_id=machine_id)


def encode_stats(cpu_ms: int, memory_bytes: int) -> bytes:
    return _STATS.pack(cpu_ms, memory_bytes)


def decode_stats(payload: bytes) -> tuple[int, int]:
    cpu_ms, memory_bytes = _whole(_STATS, payload)
    return cpu_ms, memory_bytes


def encode_fail(code: int, reason: str) -> bytes:
    return _FAIL.pack(code) + reason.encode("utf-8", "replace")[:_MAX_REASON]


def decode_fail(payload: bytes) -> tuple[int, str]:
    """Return the code and the reason, made safe to print: the guest chose the text."""
    (code,) = _head(_FAIL, payload)
    if code not in FAILURES:
        raise ProtocolError(f"found the failure code {code}, expected one of {sorted(FAILURES)}")
    text = payload[_FAIL.size :].decode("utf-8", "replace")
    return code, "".join(char if char.isprintable() else "?" for char in text)


def encode_hello() -> bytes:
    return _HELLO.pack(VERSION)


def check_hello(payload: bytes) -> None:
    """Accept the other side's version or raise ``ProtocolError``."""
    (version,) = _whole(_HELLO, payload)
    if version != VERSION:
        raise ProtocolError(f"found version {version} of the agent, expected {VERSION}")


def encode_number(number: int) -> bytes:
    return _LENGTH.pack(number)


def decode_number(payload: bytes) -> int:
    (number,) = _whole(_LENGTH, payload)
    return number


def _join(fields: list[str]) -> bytes:
    parts: list[bytes] = []
    for field in fields:
        raw = field.encode("utf-8", "surrogateescape")
        if b"\0" in raw:
            # The name alone: the value of a variable may be a secret.
            name = field.partition("=")[0][:80]
            raise ValueError(f"found a NUL character in {name!r}: neither a path nor a variable can hold one")
        parts.append(_LENGTH.pack(len(raw)))
        parts.append(raw)
    return b"".join(parts)


def _split(payload: bytes, position: int) -> list[str]:
    fields: list[str] = []
    while position < len(payload):
        if len(payload) - position < _LENGTH.size:
            raise ProtocolError("found a message that ends inside of a field's length")
        (length,) = _LENGTH.unpack_from(payload, position)
        position += _LENGTH.size
        if length > len(payload) - position:
            raise ProtocolError(f"found a field of {length} bytes, expected at most {len(payload) - position}")
        fields.append(payload[position : position + length].decode("utf-8", "surrogateescape"))
        position += length
    return fields


def _exactly(count: int, payload: bytes, position: int) -> list[str]:
    fields = _split(payload, position)
    if len(fields) != count:
        raise ProtocolError(f"found {len(fields)} fields, expected {count}")
    return fields


def _head(form: struct.Struct, payload: bytes) -> tuple[int, ...]:
    if len(payload) < form.size:
        raise ProtocolError(f"found {len(payload)} bytes of payload, expected at least {form.size}")
    return form.unpack_from(payload)


def _whole(form: struct.Struct, payload: bytes) -> tuple[int, ...]:
    if len(payload) != form.size:
        raise ProtocolError(f"found {len(payload)} bytes of payload, expected {form.size}")
    return form.unpack(payload)
