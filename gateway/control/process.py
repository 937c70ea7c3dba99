"""The control process: everything slow or rare, so that no proxied request waits for it.

Today: status port, admin API, store, logins, loading and compiling the configuration, the discovery
of endpoints and the checks of their health. If it dies, the workers go on with the Plan they have,
and the supervisor starts it again.
"""

import asyncio
import logging
import os
import socket
import sys
import time
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop

from gateway.channel import ChannelProtocol, Message
from gateway.config import ConfigError
from gateway.config.auth import Auth
from gateway.config.schema import Config
from gateway.control.endpoints import Endpoints
from gateway.control.instance import Instance
from gateway.control.places import Places
from gateway.control.publication import Publication
from gateway.control.publish import ConfigSource, publish
from gateway.control.registry import ServiceRegistry
from gateway.control.serve import serve
from gateway.control.shared_breakers import SharedBreakers
from gateway.control.status import status_app
from gateway.control.store_link import StoreLink
from gateway.listener import Listener
from gateway.telemetry import log as application_log
from gateway.telemetry.metrics import Family
from gateway.upstreams.canary import CanaryWatch
from gateway.upstreams.health import HealthChecks

if TYPE_CHECKING:
    from gateway._core import Segment
    from gateway.control.identity import Identity
    from gateway.store.changes import StoreVersion

__all__ = ["ControlTask", "run"]

NICENESS = 5
"""A worker on the same core runs first, and three quarters of the time when both are busy:
compiling a configuration holds up no request. The price: when all cores are busy, health checks and
API keys that are seen for the first time have a quarter of a core, as all else in here."""
BEAT_S = 1.0
"""Ten beats fit into the supervisor's patience."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ControlTask:
    """What the control process is given at its fork."""

    slot: int
    channel: socket.socket
    status: Listener
    admin: Listener
    segment: "Segment"
    publication: Publication
    source: ConfigSource
    started_with: Config
    """Of the start: some settings in it need a restart to change."""
    watch: Path | None
    """The configuration file, if it is watched."""


def run(task: ControlTask) -> int:
    """Serve until the supervisor says otherwise; returns the exit code."""
    application_log.name_process("control")
    os.nice(NICENESS)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_Process(task).serve())


class _Process:
    """The control process while it lives: its two servers, its channel, its background work."""

    def __init__(self, task: ControlTask) -> None:
        self._task = task
        self._leaving = asyncio.Event()
        self._channel = ChannelProtocol(self._on_message, self._leaving.set)
        self._places = Places(task.segment, task.publication)
        self._loading: asyncio.Task[None] | None = None
        self._canaries = CanaryWatch(task.segment)
        self._breakers = SharedBreakers(task.segment)
        self._link = StoreLink(
            task.started_with.store.url,
            Path(task.started_with.server.run_dir),
            on_change=lambda: self._channel.send({"type": "reload"}),
            announce=_announce_admin_token,
        )
        self._link.subscribe(self._on_store_version)
        self._registry = ServiceRegistry(self._link, task.publication)
        self._health = HealthChecks(task.segment, self._registry.health_changed)
        self._endpoints = Endpoints(
            self._channel.send, self._places, task.publication, self._registry
        )
        self._instance = Instance(
            self._channel.send, task.segment, task.publication, self._endpoints.reports
        )
        self._store_version: StoreVersion | None = None
        self._identity: Identity | None = None

    async def serve(self) -> int:
        """Until told to leave, or until a server fails."""
        task = self._task
        loop = asyncio.get_running_loop()
        await loop.create_unix_connection(lambda: self._channel, sock=task.channel)
        probed = status_app(self._instance, task.status, self._families)
        work: list[asyncio.Task[None]] = [
            loop.create_task(self._run_identity()),  # ends first: it uses what the others hold
            loop.create_task(serve(probed, task.status)),
            loop.create_task(self._serve_admin()),
            loop.create_task(self._beat()),
            loop.create_task(self._link.run()),
            loop.create_task(self._endpoints.run()),
            loop.create_task(self._canaries.run()),
            loop.create_task(self._places.run()),
            loop.create_task(self._registry.run()),
        ]
        if task.watch is not None:
            work.append(loop.create_task(self._watch(task.watch)))
        self._watch_upstreams(task.publication)
        self._channel.send({"type": "ready", "generation": task.publication.generation})
        leave = loop.create_task(_wait(self._leaving))
        done, _ = await asyncio.wait([leave, *work], return_when=asyncio.FIRST_COMPLETED)
        self._health.close()
        for job in work:
            job.cancel()
            await asyncio.gather(job, return_exceptions=True)
        for job in done - {leave}:
            # Before the channel closes: the supervisor kills who cannot be told anything any more.
            log.error("the control process ends", exc_info=job.exception())
        self._channel.close()
        await asyncio.sleep(0)  # the channel's transport closes on the next turn
        for job in done - {leave}:
            job.result()  # raises what ended it
        return 0

    async def _serve_admin(self) -> None:
        # On a thread: it comes with the store, and the status port should answer meanwhile.
        await asyncio.to_thread(import_module, "gateway.control.admin.app")
        from gateway.control.admin.app import admin_app

        task = self._task
        app = admin_app(self._instance, task.admin, self._link, task.source, self._canaries.decided)
        await serve(app, task.admin)

    async def _run_identity(self) -> None:
        """Logins, and what workers ask about credentials."""
        # On a thread: the import takes longer than a probe wants to wait.
        module = await asyncio.to_thread(import_module, "gateway.control.identity")
        config, auth = self._task.started_with, self._auth()
        identity: Identity = module.Identity(
            Path(config.server.run_dir),
            self._task.segment,
            self._link.store,
            config.store.url,
            config.state,
            auth,
            self._trusted_proxies(),
        )
        self._identity = identity
        if self._store_version is not None:
            identity.on_store_version(self._store_version)
        sharing = asyncio.get_running_loop().create_task(self._breakers.run(identity.state))
        try:
            await identity.run()
        finally:
            sharing.cancel()

    def _on_store_version(self, version: "StoreVersion") -> None:
        self._store_version = version
        if self._identity is not None:
            self._identity.on_store_version(version)

    def _auth(self) -> Auth:
        """Of the configuration in force."""
        return Auth.model_validate(self._instance.publication.config["auth"])

    def _trusted_proxies(self) -> tuple[str, ...]:
        return tuple(self._instance.publication.config["server"]["trusted_proxies"])

    def _families(self) -> list[Family]:
        more = self._identity.families() if self._identity is not None else []
        return [*self._link.families(), *self._breakers.families(), *more]

    async def _beat(self) -> None:
        while True:
            self._task.segment.beat(self._task.slot, time.monotonic_ns() // 1_000_000)
            await asyncio.sleep(BEAT_S)

    async def _watch(self, path: Path) -> None:
        from gateway.control.watch import changes

        async for _ in changes(path):
            log.info("%s has changed", path)
            self._channel.send({"type": "reload"})

    def _watch_upstreams(self, publication: Publication) -> None:
        self._health.update(publication.services)
        self._canaries.update(publication.canaries, publication.services)
        self._breakers.update(publication.services)

    def _on_message(self, message: Message) -> None:
        match message["type"]:
            case "load":
                loading = self._load(message["generation"])
                self._loading = asyncio.get_running_loop().create_task(loading)
            case "refresh":
                self._loaded(self._endpoints.refresh(message["generation"]))
            case "published":
                publication = Publication.from_message(message["publication"])
                self._instance.publication = publication
                self._endpoints.published(publication)
                self._places.published(publication)
                self._registry.published(publication)
                self._watch_upstreams(publication)
                if self._identity is not None:
                    self._identity.apply(self._auth(), self._trusted_proxies())
            case "answer":
                self._instance.on_answer(message["id"], message["answer"])
            case "exit":
                self._leaving.set()

    async def _load(self, generation: int) -> None:
        """Answer with the publication or with the problems.

        The file is read on the loop: the status port waits for the tens of milliseconds that a
        large one takes, and nothing else runs here meanwhile that could see half a change.
        """
        task = self._task
        try:
            loaded = task.source.load()
            publication = publish(
                loaded, self._places, generation, task.started_with, self._link.stored
            )
            publication = await self._endpoints.fill(publication)
        except ConfigError as error:
            problems = [str(problem) for problem in error.problems]
        except Exception as error:
            log.exception("the configuration could not be compiled")
            problems = [f"internal error: {type(error).__name__}: {error}"]
        else:
            for row in publication.quarantined:
                log.error(
                    "%s %s of the store is in quarantine: %s", row.kind, row.name, row.problem
                )
            self._loaded(publication)
            return
        self._channel.send({"type": "problems", "generation": generation, "problems": problems})

    def _loaded(self, publication: Publication) -> None:
        self._channel.send({"type": "loaded", "publication": publication.to_message()})


def _announce_admin_token(text: str) -> None:
    """To the terminal or journal of the first start; not by way of the log, which may travel."""
    print(f"gateway  admin token, shown only this once: {text}", file=sys.stderr, flush=True)


async def _wait(event: asyncio.Event) -> None:
    await event.wait()
