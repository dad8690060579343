"""How the host's own apt reaches its mirrors, so that a build does it the same way."""

import re
import subprocess
from dataclasses import dataclass

from terraphim_runner.model.errors import InfrastructureError
from terraphim_runner.providers.image.namespace import SYSTEM_PATH

_DEADLINE_S = 20
_OPTIONS = ("Acquire::Check-Valid-Until", "Acquire::Check-Date", "Acquire::ForceIPv4", "Acquire::ForceIPv6")
_PROXIES = {"Acquire::http::Proxy": "http_proxy", "Acquire::https::Proxy": "https_proxy"}
_SETTING = re.compile(r'^([A-Za-z0-9:-]+) "([^"\n]*)";$', re.MULTILINE)
_SWITCH_VALUES = frozenset({"true", "false", "1", "0", "yes", "no"})


@dataclass(frozen=True, slots=True, kw_only=True)
class AptSettings:
    """``options`` are lines of ``apt.conf``. ``proxies`` are environment variables, for an address may hold a password,
    which has no business on a command line.
    """

    options: tuple[str, ...]
    proxies: dict[str, str]


def host_apt_settings() -> AptSettings:
    """Ask ``apt-config`` for the settings that a mirror may depend on."""
    command = ["apt-config", "dump", *_OPTIONS, *_PROXIES]
    try:
        result = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=_DEADLINE_S, env={"PATH": SYSTEM_PATH}
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InfrastructureError(doing="read the host's apt settings", reason=str(error)) from error
    return parse_apt_settings(result.stdout)


def parse_apt_settings(dump: str) -> AptSettings:
    """Return what matters in the output of ``apt-config dump``."""
    options: list[str] = []
    proxies: dict[str, str] = {}
    for match in _SETTING.finditer(dump):
        key, value = match.groups()
        if key in _OPTIONS and value.lower() in _SWITCH_VALUES:
            options.append(f'{key} "{value}"')
        elif key in _PROXIES and value and value != "DIRECT":
            proxies[_PROXIES[key]] = value
    return AptSettings(options=tuple(options), proxies=proxies)
