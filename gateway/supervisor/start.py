"""From a configuration to a running supervisor: all that can go wrong before the first fork."""

import gc
import logging
import mmap
import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gateway import worker
from gateway.config import Loaded
from gateway.config.compile import resolve_workers
from gateway.config.server import Server
from gateway.control import snapshot
from gateway.control.places import Places
from gateway.control.publication import Publication
from gateway.control.publish import ConfigSource, publish
from gateway.listener import Listener
from gateway.supervisor.children import Child
from gateway.supervisor.errors import StartError
from gateway.supervisor.instance import Instance
from gateway.supervisor.run_dir import RunDir
from gateway.supervisor.sockets import bind, bind_reuseport, raise_file_limit
from gateway.supervisor.supervisor import Supervisor
from gateway.telemetry import log as application_log
from gateway.telemetry.access_log import check_access_log
from gateway.worker import WorkerFactory, WorkerTask

if TYPE_CHECKING:
    pass

if TYPE_CHECKING:
    from gateway._core import Segment

__all__ = ["Options", "run"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """What ``gateway run`` was asked for."""

    source: ConfigSource
    watch: bool = False
    """Reload when the configuration's directory changes."""


def run(options: Options, make_worker: WorkerFactory | None = None) -> int:
    """Run an instance until it is stopped; returns the exit code.

    ``make_worker`` is the data plane; None for the real one. ConfigError, StartError, if the
    instance cannot start.
    """
    loaded = options.source.load()
    server = loaded.config.server
    application_log.configure(server.log.format, server.log.level, process="supervisor")
    make_worker = make_worker or _compiled_worker()
    run_dir = RunDir(Path(server.run_dir))
    try:
        supervisor = _prepare(options, loaded, run_dir, make_worker)
    except BaseException:
        run_dir.close()
        raise
    _announce(supervisor, server)
    # The collector would write to every object that the children share with us.
    gc.collect()
    gc.freeze()
    return supervisor.run()


def limit_cells(keys: int) -> int:
    """Cells for so many keys at half load at most, where a search is short: a power of two."""
    return 1 << (2 * keys - 1).bit_length()


def _prepare(
    options: Options, loaded: Loaded, run_dir: RunDir, make_worker: WorkerFactory
) -> Supervisor:
    from gateway._core import Segment

    server = loaded.config.server
    _check_access_log(server.log.access)
    log.debug("at most %d open files", raise_file_limit())
    workers = resolve_workers(server.workers)
    cells = limit_cells(server.rate_limit_keys)
    # Shared with every child, named nowhere.
    memory = mmap.mmap(-1, Segment.size_for(workers, cells))
    segment = Segment(memory, workers, create=True, cells=cells)
    # The rows of the store as they were last seen: to serve must not wait for the database.
    stored = snapshot.read(run_dir.path, loaded.config.store.url)
    publication = publish(loaded, Places(segment), generation=1, stored=stored)
    mains = _ChildMains(
        options=options,
        loaded=loaded,
        segment=segment,
        http=bind_reuseport("server.http", *server.http, workers),
        status=bind("server.status", *server.status),
        admin=bind("server.admin", *server.admin),
        make_worker=make_worker,
    )
    return Supervisor(
        Instance(
            run_dir=run_dir,
            segment=segment,
            http=mains.http,
            control_listeners=[mains.status, mains.admin],
            publication=publication,
            config_path=str(loaded.path) if loaded.path else "defaults, no file",
            run_worker=mains.worker,
            run_control=mains.control,
        )
    )


@dataclass(frozen=True)
class _ChildMains:
    """What the children take with them over their fork, and what they run."""

    options: Options
    loaded: Loaded
    segment: "Segment"
    http: Listener
    status: Listener
    admin: Listener
    make_worker: WorkerFactory

    def worker(self, child: Child, channel: socket.socket, in_force: Publication) -> int:
        return worker.run(
            WorkerTask(
                slot=child.slot,
                listener=self.http.sockets[child.slot],
                channel=channel,
                segment=self.segment,
                plan=in_force.plan.encode(),
                access_log=self.loaded.config.server.log.access,
                state=self.loaded.config.state,
                run_dir=Path(self.loaded.config.server.run_dir),
                make_worker=self.make_worker,
            )
        )

    def control(self, child: Child, channel: socket.socket, in_force: Publication) -> int:
        # Imported after the fork: only this process needs Starlette, uvicorn and watchfiles.
        from gateway.control import process

        return process.run(
            process.ControlTask(
                slot=child.slot,
                channel=channel,
                status=self.status,
                admin=self.admin,
                segment=self.segment,
                publication=in_force,
                source=self.options.source,
                started_with=self.loaded.config,
                watch=self.loaded.path if self.options.watch else None,
            )
        )


def _compiled_worker() -> WorkerFactory:
    """The data plane. Imported before the fork: the workers share its pages, and start sooner."""
    try:
        from gateway.cext.worker import Worker
    except ImportError as error:
        raise StartError(str(error)) from error
    return Worker


def _check_access_log(target: str) -> None:
    """Here, once, and not in every worker that is then started again and again."""
    try:
        check_access_log(target)
    except OSError as error:
        raise StartError(
            f"server.log.access: cannot write to {target}: {error.strerror}. Make the directory "
            "writable for this user, or choose stdout, stderr, off or another path."
        ) from error


def _announce(supervisor: Supervisor, server: Server) -> None:
    instance = supervisor.instance
    status, admin = instance.control_listeners
    facts = {
        "http": instance.http.address,
        "admin": admin.address,
        "status": status.address,
        "workers": len(instance.http.sockets),
        "config": instance.config_path,
    }
    if sys.stderr.isatty() or server.log.format == "console":
        text = "  ".join(f"{name} {value}" for name, value in facts.items())
        print(f"gateway  {text}  pid {os.getpid()}", file=sys.stderr, flush=True)
    else:
        log.info("gateway starts", extra=facts)
