"""The composition root of the server: the only place that chooses concrete classes.

A restart does not fail anybody's job: when the server is told to stop, what runs is cancelled, its machine destroyed,
and the job put back into the queue of the next start. The listening socket is opened first and served last, so that
deliveries that come during the start wait instead of being refused.
"""

import fcntl
import logging
import os
import resource
import signal
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from socket import socket

import anyio
import anyio.to_thread

from terraphim_runner.engine.durable import Engine, Work
from terraphim_runner.engine.host import host_identity
from terraphim_runner.execution.request import JobLimits
from terraphim_runner.github.contents import Mirror
from terraphim_runner.github.webhooks import WebhookSecrets
from terraphim_runner.machines import check_labels, open_provider
from terraphim_runner.model.errors import InfrastructureError, UsageError
from terraphim_runner.ports import MachineSpec, Provider, SystemClock
from terraphim_runner.program_log import set_up_logging
from terraphim_runner.services.advance import Advancer
from terraphim_runner.services.cancellations import Cancellations
from terraphim_runner.services.intake import Addresses, Intake
from terraphim_runner.services.janitor import Janitor
from terraphim_runner.services.mirrored import MirroredSources
from terraphim_runner.services.recovery import Recovery
from terraphim_runner.services.repositories import Repositories, read_repositories
from terraphim_runner.services.worker import Place, Worker
from terraphim_runner.settings import Settings
from terraphim_runner.store.database import open_database
from terraphim_runner.store.logs import LogStore
from terraphim_runner.web.access import Access
from terraphim_runner.web.api import api_routes
from terraphim_runner.web.application import build_application
from terraphim_runner.web.bodies import BodyReader
from terraphim_runner.web.server import SHUTDOWN_S, Server, listen
from terraphim_runner.web.webhook import webhook_routes

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningServer:
    """A server that answers."""

    url: str
    port: int


def build_provider(settings: Settings) -> Provider:
    """Return the provider of machines that the settings ask for."""
    return open_provider(settings.vm_provider, settings.machines_root, warm_machines=settings.vm_pool_size)


def machine_spec(settings: Settings) -> MachineSpec:
    """Return what every job's machine is."""
    return MachineSpec(
        image=settings.vm_image,
        memory_mib=settings.vm_memory_mib,
        vcpus=settings.vm_vcpus,
        disk_mib=settings.vm_disk_mib,
        cpu_percent=settings.vm_cpu_percent,
    )


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    set_up_logging(json_lines=settings.log_format == "json", level=settings.log_level)
    # A dump of this process would hold every secret.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with build_server(settings, build_provider(settings)) as server:
            log.info("serving on %s", server.url)
            async for number in signals:
                log.info("stopping on %s: running jobs go back into the queue", signal.Signals(number).name)
                break
    log.info("stopped")


@asynccontextmanager
async def build_server(settings: Settings, provider: Provider) -> AsyncGenerator[RunningServer]:
    """Serve while the context lasts; on leaving it, no machine and no task of the server is left.

    Raises ``UsageError`` for settings that cannot work here, ``InfrastructureError`` for a place that cannot be used;
    from within a task group either may come inside an exception group.
    """
    for notice in settings.notices():
        log.warning(notice)
    listener = listen(settings.host, settings.port)
    with listener, _only_server(settings.terraphim_data_dir):
        async with provider:
            swept = await provider.sweep()
            if swept:
                log.warning("destroyed %d machines that a crashed server left behind", swept)
            await provider.prepare(machine_spec(settings))
            async with _serving(settings, provider, listener) as server:
                yield server


@asynccontextmanager
async def _serving(settings: Settings, provider: Provider, listener: socket) -> AsyncGenerator[RunningServer]:
    clock = SystemClock()
    data = settings.terraphim_data_dir
    database = await anyio.to_thread.run_sync(open_database, settings.database)
    host = host_identity(data)
    logs = LogStore(data / "logs", limit_bytes=settings.job_log_limit_bytes)
    repositories = read_repositories(settings.repositories_file) if settings.repositories_file else Repositories()
    sources = MirroredSources(
        Mirror(
            settings.repositories_root,
            allow_file_urls=settings.clone_allow_file_urls,
            cache=data / "cache",
            token=settings.github_token,
            timeout_s=settings.git_timeout_secs,
            server_url=settings.github_server_url,
        )
    )
    engine = Engine(database_url=database.url, host=host, concurrency=settings.max_concurrent_workflows)
    cancellations = Cancellations()
    advancer = Advancer(database=database, queue=engine, cancellations=cancellations, clock=clock)
    intake = Intake(
        database=database,
        queue=engine,
        sources=sources,
        repositories=repositories,
        addresses=Addresses(server_url=settings.github_server_url, api_url=settings.github_api_url),
        advancer=advancer,
        clock=clock,
    )
    place = Place(
        provider=provider,
        machine=machine_spec(settings),
        host=host,
        runner_name=settings.runner_name,
        check_labels=partial(check_labels, also=settings.runner_labels),
        limits=JobLimits(log_bytes=settings.job_log_limit_bytes),
        max_job_minutes=settings.max_job_minutes,
    )
    worker = Worker(
        place=place,
        database=database,
        logs=logs,
        sources=sources,
        repositories=repositories,
        advancer=advancer,
        cancellations=cancellations,
        clock=clock,
    )
    recovery = Recovery(
        database=database,
        queue=engine,
        intake=intake,
        advancer=advancer,
        cancellations=cancellations,
        host=host,
        clock=clock,
    )
    janitor = Janitor(database=database, logs=logs, keep=timedelta(days=settings.retention_days), clock=clock)
    application = build_application(
        webhook_routes(
            intake=intake,
            secrets=WebhookSecrets(settings.github_webhook_secret),
            bodies=BodyReader(limit_bytes=settings.webhook_body_limit_bytes),
            clock=clock,
        ),
        api_routes(
            database=database,
            logs=logs,
            access=Access(token=settings.api_token, is_loopback=settings.is_loopback),
        ),
    )
    try:
        async with engine.running(Work(intake=intake.intake_once, attempt=worker.run_attempt)):
            await recovery.sweep_once(starting=True)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(recovery.run_for_ever)
                tasks.start_soon(janitor.run_for_ever)
                async with _answering(Server(application), listener):
                    port = listener.getsockname()[1]
                    host_shown = f"[{settings.host}]" if ":" in settings.host else settings.host
                    yield RunningServer(url=f"http://{host_shown}:{port}", port=port)
                tasks.cancel_scope.cancel()
    finally:
        database.close()


@asynccontextmanager
async def _answering(server: Server, listener: socket) -> AsyncGenerator[None]:
    ended = anyio.Event()

    async def answer() -> None:
        try:
            await server.serve(sockets=[listener])
        finally:
            ended.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(answer)
        try:
            yield
        finally:
            # First nobody is answered any more, then the rest is taken apart.
            server.should_exit = True
            with anyio.move_on_after(SHUTDOWN_S + 2, shield=True):
                await ended.wait()
            tasks.cancel_scope.cancel()


@contextmanager
def _only_server(data_directory: Path) -> Generator[None]:
    """Keep a second server away: it would take the first one's machines for a crashed predecessor's."""
    path = data_directory / "server.lock"
    try:
        data_directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise InfrastructureError(
            doing=f"use the data directory {str(data_directory)!r}",
            reason=error.strerror or str(error),
            fix="make it writable for this user, or set TERRAPHIM_DATA_DIR to one that is",
        ) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise UsageError(
            f"another server uses the data directory {str(data_directory)!r}: stop it, or set TERRAPHIM_DATA_DIR"
        ) from None
    try:
        yield
    finally:
        os.close(descriptor)
