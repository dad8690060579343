"""The settings of the server: one flat list of names, from the environment, an env file and a TOML file.

A name is the same everywhere: ``VM_POOL_SIZE`` in the environment and the env file, ``vm_pool_size`` in the TOML file,
where a table is a prefix (``[vm]`` ``pool_size``). The environment wins over the env file, which wins over the TOML
file. An unknown name in a file is an error that names the nearest known one; the environment is full of names that
are not ours, so nothing can be said about those. This is where ``os.environ`` is read, and the only place.

Pydantic checks the values; its settings package does not serve here, for it neither reports unknown names nor takes
an environment as an argument, and would cost the server 9 MiB.
"""

import difflib
import ipaddress
import os
import re
import tomllib
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Literal, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, ValidationError

from terraphim_runner.data_directory import data_directory
from terraphim_runner.model.errors import UsageError
from terraphim_runner.model.secret import Secret

MIB: Final = 1024 * 1024
SETTINGS_FILE_VARIABLE: Final = "TERRAPHIM_SETTINGS"
ENV_FILE_VARIABLE: Final = "TERRAPHIM_ENV_FILE"
MAX_FILE_BYTES: Final = MIB


def _secret(value: object) -> Secret:
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str) or "\n" in value or "\x00" in value:
        raise ValueError("expected one line of text")
    return Secret(value)


def _words(value: object) -> object:
    return tuple(word.strip() for word in value.split(",") if word.strip()) if isinstance(value, str) else value


SecretText = Annotated[Secret, PlainValidator(_secret)]
Url = Annotated[str, Field(pattern=r"^https?://[^\s/@]+(/\S*)?$")]


class VmProvider(StrEnum):
    AUTO = "auto"
    QEMU = "qemu"
    PROCESS = "process"
    """No isolation at all; only when it is asked for by name."""


class Settings(BaseModel):
    """Every setting, checked. Each field's name in upper case is its name in the environment."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", arbitrary_types_allowed=True, hide_input_in_errors=True, validate_default=False
    )

    github_webhook_secret: SecretText = Secret("")
    host: str = "127.0.0.1"
    port: int = Field(default=3000, ge=0, le=65535)
    api_token: SecretText | None = None
    webhook_body_limit_bytes: int = Field(default=25 * MIB, ge=1024, le=100 * MIB)

    github_token: SecretText | None = None
    github_api_url: Url = "https://api.github.com"
    github_server_url: Url = "https://github.com"
    http_client_timeout_secs: float = Field(default=30, gt=0, le=3600)
    git_timeout_secs: float = Field(default=600, gt=0, le=86400)
    repository_path: Path | None = None
    clone_allow_file_urls: bool = False
    repositories_file: Path | None = None

    terraphim_data_dir: Path = Path()
    database_url: SecretText | None = None

    vm_provider: VmProvider = VmProvider.AUTO
    vm_directory: Path | None = None
    vm_image: str = "default"
    vm_pool_size: int = Field(default=1, ge=0, le=64)
    vm_memory_mib: int = Field(default=512, ge=128, le=1024 * 1024)
    vm_vcpus: int = Field(default=1, ge=1, le=256)
    vm_disk_mib: int = Field(default=4096, ge=256, le=16 * 1024 * 1024)
    vm_cpu_percent: int = Field(default=100, ge=1, le=100)
    runner_name: str = Field(default="terraphim", min_length=1, max_length=100)
    runner_labels: Annotated[tuple[str, ...], BeforeValidator(_words)] = ()
    """Labels that ``runs-on`` may ask for in addition: a list in the TOML file, words with commas elsewhere."""
    max_job_minutes: float = Field(default=5 * 24 * 60, gt=0, le=35 * 24 * 60)
    """The default is GitHub's own limit for self-hosted runners."""
    retention_days: int = Field(default=90, ge=1, le=36500)
    """How long completed runs, their logs and their deliveries are kept; the default is GitHub's."""
    job_log_limit_bytes: int = Field(default=64 * MIB, ge=64 * 1024, le=4096 * MIB)
    max_concurrent_workflows: int = Field(default=4, ge=1, le=1024)

    log_format: Literal["console", "json"] = "console"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    use_llm_parser: bool = False
    ollama_base_url: Url | None = None
    ollama_model: str = "gemma3:4b"
    openrouter_api_key: SecretText | None = None
    openrouter_model: str | None = None
    firecracker_api_url: str | None = None
    firecracker_auth_token: SecretText | None = None

    @property
    def repositories_root(self) -> Path:
        """Where repositories live or are mirrored."""
        return self.repository_path or self.terraphim_data_dir / "repositories"

    @property
    def machines_root(self) -> Path:
        """Where images, templates and machines live; several servers may share it."""
        return self.vm_directory or self.terraphim_data_dir

    @property
    def database(self) -> Secret:
        """The database's URL: what was set, or a SQLite file in the data directory."""
        return self.database_url or Secret(f"sqlite:///{self.terraphim_data_dir / 'terraphim.sqlite'}")

    @property
    def is_loopback(self) -> bool:
        """Tell whether only this machine can reach the server."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def notices(self) -> list[str]:
        """Return what a person should know about these settings at every start."""
        told: list[str] = []
        if self.use_llm_parser:
            told.append(
                "USE_LLM_PARSER is on, but language models are not built in yet: "
                "workflows run exactly as their YAML says, and OLLAMA_* and OPENROUTER_* have no effect"
            )
        if self.github_token is None:
            told.append(
                "GITHUB_TOKEN is not set: nothing is posted to GitHub, and only public repositories are fetched"
            )
        else:
            told.append("GITHUB_TOKEN is set: it fetches repositories; posting results to GitHub is not built in yet")
        if self.vm_provider is VmProvider.PROCESS:
            told.append("vm_provider is 'process': jobs run on this machine without any isolation")
        return told


def load_settings(
    environ: Mapping[str, str] | None = None,
    *,
    settings_file: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Settings:
    """Read the settings of a server, see ``read_settings``; raises ``UsageError``, too, when one cannot work."""
    settings = read_settings(environ, settings_file=settings_file, overrides=overrides)
    _check(settings)
    return settings


def read_settings(
    environ: Mapping[str, str] | None = None,
    *,
    settings_file: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Settings:
    """Read all settings. ``overrides`` win over everything; None in it counts as not given.

    ``settings_file`` or ``TERRAPHIM_SETTINGS`` names the TOML file, ``TERRAPHIM_ENV_FILE`` the env file.
    An empty variable of the environment counts as not set. Raises ``UsageError`` that lists everything that is wrong;
    no value of a secret is ever in it.
    """
    env = dict(os.environ if environ is None else environ)
    values: dict[str, Any] = {}
    toml = settings_file or (Path(env[SETTINGS_FILE_VARIABLE]) if env.get(SETTINGS_FILE_VARIABLE) else None)
    if toml is not None:
        values |= _from_toml(toml)
    if env.get(ENV_FILE_VARIABLE):
        values |= _from_env_file(Path(env[ENV_FILE_VARIABLE]))
    values |= {name: env[name.upper()] for name in Settings.model_fields if env.get(name.upper())}
    values |= {name: value for name, value in (overrides or {}).items() if value is not None}
    chosen = str(values.get("terraphim_data_dir") or "")
    values["terraphim_data_dir"] = data_directory({**env, "TERRAPHIM_DATA_DIR": chosen})
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise UsageError("\n".join(_told(fault) for fault in error.errors(include_url=False))) from None


def _check(settings: Settings) -> None:
    """Refuse what is well-formed and still cannot work."""
    if not settings.github_webhook_secret:
        found = "empty" if "github_webhook_secret" in settings.model_fields_set else "not set"
        raise UsageError(
            f"GITHUB_WEBHOOK_SECRET is {found}: anybody could start jobs here; "
            "set it to the secret of the webhook in GitHub's settings"
        )
    if settings.firecracker_api_url is not None:
        raise UsageError(
            "FIRECRACKER_API_URL is set, but running jobs on another server's machines is not built in yet: "
            "unset it to use the machines of this host (vm_provider)"
        )


def _told(fault: Mapping[str, Any]) -> str:
    name = str(fault["loc"][0]) if fault["loc"] else "settings"
    message = str(fault["msg"]).removeprefix("Value error, ")
    return f"{name.upper()}: {message[:1].lower()}{message[1:]}"


def _from_toml(path: Path) -> dict[str, Any]:
    text = _read(path, "settings file")
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"\(at [^)]*\)", str(error))
        raise UsageError(f"settings file {str(path)!r} is not TOML {place[0] if place else ''}".rstrip()) from None
    values = dict(_flat(document, ""))
    _refuse_unknown(values, f"settings file {str(path)!r}", shown=str)
    return values


def _flat(table: Mapping[str, Any], prefix: str) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in table.items():
        if isinstance(value, dict):
            found += _flat(cast("dict[str, Any]", value), f"{prefix}{name}_")
        else:
            found.append((f"{prefix}{name}", value))
    return found


def _from_env_file(path: Path) -> dict[str, Any]:
    """Read ``NAME=value`` lines as systemd's EnvironmentFile has them: comments, and quotes around a whole value."""
    values: dict[str, Any] = {}
    for number, line in enumerate(_read(path, "env file").splitlines(), start=1):
        text = line.strip()
        if not text or text[0] in "#;":
            continue
        name, equals, value = text.partition("=")
        name, value = name.strip(), value.strip()
        if not equals or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise UsageError(f"env file {str(path)!r} line {number}: expected NAME=value")
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        values[name] = value
    _refuse_unknown({name.lower(): value for name, value in values.items()}, f"env file {str(path)!r}", shown=str.upper)
    return {name.lower(): value for name, value in values.items() if value}


def _refuse_unknown(values: Mapping[str, Any], where: str, *, shown: Any) -> None:
    faults: list[str] = []
    for name in values:
        if name not in Settings.model_fields:
            nearest = difflib.get_close_matches(name, Settings.model_fields, n=1, cutoff=0.0)[0]
            faults.append(f"{where}: unknown setting {shown(name)!r}; the nearest known one is {shown(nearest)!r}")
    if faults:
        raise UsageError("\n".join(faults))


def _read(path: Path, kind: str) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{kind} {str(path)!r} cannot be read: {error.strerror}") from None
    if len(data) > MAX_FILE_BYTES:
        raise UsageError(f"{kind} {str(path)!r} is larger than {MAX_FILE_BYTES} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(f"{kind} {str(path)!r} is not UTF-8") from None
