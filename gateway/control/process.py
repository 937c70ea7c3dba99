"""The control process: everything slow or rare, so that no proxied request waits for it.

Today: the status port, the read-only admin API, loading and compiling the configuration, the
discovery of endpoints and the checks of their health. If it dies, the workers go on with the Plan
they have, and the supervisor starts it again.
"""

import asyncio
import logging
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop

from gateway.channel import ChannelProtocol, Message
from gateway.config import ConfigError
from gateway.config.server import Server
from gateway.control.admin import admin_app
from gateway.control.endpoints import Endpoints
from gateway.control.instance import Instance
from gateway.control.publication import Publication
from gateway.control.publish import ConfigSource, publish
from gateway.control.serve import serve
from gateway.control.status import status_app
from gateway.listener import Listener
from gateway.telemetry import log as application_log
from gateway.upstreams.canary import CanaryWatch
from gateway.upstreams.health import HealthChecks

if TYPE_CHECKING:
    from gateway._core import Segment

__all__ = ["ControlTask", "run"]

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
    started_with: Server
    """The settings in force that need a restart to change."""
    watch: Path | None
    """The configuration file, if it is watched."""


def run(task: ControlTask) -> int:
    """Serve until the supervisor says otherwise; returns the exit code."""
    application_log.name_process("control")
    logging.getLogger("uvicorn").setLevel(logging.WARNING)  # its start and stop are ours to tell
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_Process(task).serve())


class _Process:
    """The control process while it lives: its two servers, its channel, its background work."""

    def __init__(self, task: ControlTask) -> None:
        self._task = task
        self._leaving = asyncio.Event()
        self._channel = ChannelProtocol(self._on_message, self._leaving.set)
        self._endpoints = Endpoints(self._channel.send, task.segment.intern, task.publication)
        self._instance = Instance(
            self._channel.send, task.segment, task.publication, self._endpoints.reports
        )
        self._loading: asyncio.Task[None] | None = None
        self._health = HealthChecks(task.segment)
        self._canaries = CanaryWatch(task.segment)

    async def serve(self) -> int:
        """Until told to leave, or until a server fails."""
        task = self._task
        loop = asyncio.get_running_loop()
        await loop.create_unix_connection(lambda: self._channel, sock=task.channel)
        work: list[asyncio.Task[None]] = [
            loop.create_task(serve(status_app(self._instance), task.status)),
            loop.create_task(serve(admin_app(self._instance, task.admin), task.admin)),
            loop.create_task(self._beat()),
            loop.create_task(self._endpoints.run()),
            loop.create_task(self._canaries.run()),
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
        await asyncio.gather(*work, return_exceptions=True)
        self._channel.close()
        await asyncio.sleep(0)  # the channel's transport closes on the next turn
        for job in done - {leave}:
            job.result()  # raises what ended it
        return 0

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
                self._watch_upstreams(publication)
            case "status":
                self._instance.on_status(message["id"], message["status"])
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
            publication = publish(loaded, task.segment.intern, generation, task.started_with)
            publication = await self._endpoints.fill(publication)
        except ConfigError as error:
            problems = [str(problem) for problem in error.problems]
        except Exception as error:
            log.exception("the configuration could not be compiled")
            problems = [f"internal error: {type(error).__name__}: {error}"]
        else:
            self._loaded(publication)
            return
        self._channel.send({"type": "problems", "generation": generation, "problems": problems})

    def _loaded(self, publication: Publication) -> None:
        self._channel.send({"type": "loaded", "publication": publication.to_message()})


async def _wait(event: asyncio.Event) -> None:
    await event.wait()
