"""Building the agent's zipapp; this module itself stays on the host.

The archive holds ``wire`` and ``guest``, as source and compiled, and is the same bytes for the same sources and
Python: its digest is part of a template's key.
"""

import functools
import io
import py_compile
import tempfile
import zipfile
from importlib import resources
from pathlib import Path

# Programs that are sent into a machine on their own, and what builds the agent, are no part of it.
_NOT_THE_AGENT = frozenset({"bundle.py", "hash_files.py", "problem_matchers.py"})
_PACKAGES = ("wire", "guest")
_DATE = (1980, 1, 1, 0, 0, 0)
_MAIN = "from terraphim_runner.guest.vm import main\nmain()\n"


@functools.cache
def agent_bytes() -> bytes:
    """Return the agent as a zipapp whose main program is the VM's first process."""
    sources = {"__main__.py": _MAIN.encode(), "terraphim_runner/__init__.py": b""}
    root = Path(str(resources.files("terraphim_runner")))
    for package in _PACKAGES:
        for path in sorted((root / package).glob("*.py")):
            if path.name not in _NOT_THE_AGENT:
                sources[f"terraphim_runner/{package}/{path.name}"] = path.read_bytes()
    members: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory() as directory:
        for name, source in sources.items():
            members[name] = source
            # Emulated guests are slow to compile; a guest with another Python falls back to the source.
            members[f"{name}c"] = _compiled(Path(directory), name, source)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as bundle:
        for name in sorted(members):
            bundle.writestr(zipfile.ZipInfo(name, _DATE), members[name])
    return archive.getvalue()


def _compiled(directory: Path, name: str, source: bytes) -> bytes:
    plain = directory / "module.py"
    plain.write_bytes(source)
    target = directory / "module.pyc"
    py_compile.compile(
        str(plain),
        cfile=str(target),
        dfile=f"agent/{name}",
        doraise=True,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
    return target.read_bytes()
