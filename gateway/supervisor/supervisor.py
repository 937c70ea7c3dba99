"""The supervisor's loop: what happens to the children, and what operators ask for."""

import contextlib
import logging
import os
import selectors
import signal
import socket
import time
from dataclasses import asdict
from typing import Any

from gateway.channel import Decoder, Message
from gateway.control.publication import Publication
from gateway.listener import BACKLOG
from gateway.supervisor.children import SUPERVISED_SIGNALS, Child, fork, how_it_ended
from gateway.supervisor.commands import CommandServer, Reply
from gateway.supervisor.drain import Drain
from gateway.supervisor.heartbeat import Heartbeat
from gateway.supervisor.instance import Instance
from gateway.supervisor.reloads import Answer, Outcome, Reloads
from gateway.supervisor.signals import SignalPipe
from gateway.supervisor.status import status_document
from gateway.supervisor.stream import Stream

__all__ = ["Supervisor"]

TICK_S = 0.25
"""How often clocks are looked at: heartbeats, waits before a restart, deadlines."""
FIRST_ENDPOINTS_S = 6.0
"""How long the first workers wait for discovered endpoints: control takes half of it, if its
sources do not answer, and has to start before. Clients wait meanwhile in the sockets' queues."""

DRAINING = "the gateway is draining; it will not reload any more"

log = logging.getLogger(__name__)


class Supervisor:
    """Keeps one control process and N workers alive until it is told to stop."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.publication = instance.publication
        self.last_reload: dict[str, Any] | None = None
        self.discovery: list[dict[str, Any]] = []
        """Control's last report on the services whose endpoints are discovered."""
        workers = len(instance.http.sockets)
        self.workers = [Child(f"worker {slot}", slot) for slot in range(workers)]
        self.control = Child("control", slot=workers)
        self.drain: Drain | None = None
        self._exit_code: int | None = None
        self._selector = selectors.DefaultSelector()
        self._reloads = Reloads(self, instance.publication)
        self._heartbeat = Heartbeat(instance.segment.last_beat)
        self._signals = SignalPipe(
            self._selector, (*SUPERVISED_SIGNALS, signal.SIGCHLD), self._on_signal
        )
        self._commands = CommandServer(
            self._selector, instance.run_dir.control_socket, self._on_command
        )
        instance.run_dir.save_plan(self.publication.plan.encode())

    @property
    def children(self) -> list[Child]:
        """Every place, the workers first: on few cores they would wait for control's imports."""
        return [*self.workers, self.control]

    # --- the loop ----------------------------------------------------------------------------

    def run(self) -> int:
        """Serve until told to stop; returns the exit code of ``gateway run``."""
        try:
            self._start_children()
            next_tick = 0.0
            while self._exit_code is None:
                wait_s = max(0.0, next_tick - time.monotonic())
                for key, mask in self._selector.select(wait_s):
                    if self._is_current(key):
                        key.data(mask)
                if (now := time.monotonic()) >= next_tick:
                    self._tick(now)
                    next_tick = now + TICK_S
            return self._exit_code
        finally:
            self._close()

    def _is_current(self, key: selectors.SelectorKey) -> bool:
        """Whether an earlier event of the same round has not closed this one's socket."""
        with contextlib.suppress(KeyError, ValueError):
            return bool(self._selector.get_key(key.fileobj).data == key.data)
        return False

    def _tick(self, now: float) -> None:
        self._reloads.tick(now)
        if self.drain is not None:
            self.drain.tick(now)
            return
        for child in self.children:
            if child.pid is None and child.retry_at is not None and now >= child.retry_at:
                self._start(child)
        for child in self._heartbeat.silent(self.children, now):
            log.error("%s (pid %s) gives no sign of life; it is replaced", child.name, child.pid)
            child.kill()

    def _close(self) -> None:
        for child in self.children:
            if child.pid is not None:
                child.kill()
                os.waitpid(child.pid, 0)
        self._commands.close()
        self._signals.close()
        for listener in (self.instance.http, *self.instance.control_listeners):
            listener.close()
        self._selector.close()
        self.instance.run_dir.clear()

    # --- children ----------------------------------------------------------------------------

    def _start_children(self) -> None:
        """All of them; where endpoints are discovered, control goes first and the workers wait."""
        if not self.publication.discovery:
            for child in self.children:
                self._start(child)
            return
        self._start(self.control)
        for worker in self.workers:
            worker.retry_at = time.monotonic() + FIRST_ENDPOINTS_S

    def _start_waiting_workers(self) -> None:
        for worker in self.workers:
            if not worker.started and self.drain is None:
                self._start(worker)

    def _start(self, child: Child) -> None:
        ours, theirs = socket.socketpair()
        if child is not self.control:
            # It was shut while the child had to wait; listening again opens it.
            self.instance.http.sockets[child.slot].listen(BACKLOG)
        # Workers join a reload that runs. Control is told when it is in force, and not before.
        publication, main = self._reloads.target, self.instance.run_worker
        if child is self.control:
            publication, main = self.publication, self.instance.run_control
        try:
            pid = fork(lambda: main(child, theirs, publication), lambda: self._release(child, ours))
        except OSError as error:  # no memory, no more processes
            log.error("%s: cannot fork: %s", child.name, error.strerror)
            ours.close()
            child.started = time.monotonic()
            self._wait_before_restart(child)
            return
        finally:
            theirs.close()
        decoder = Decoder()

        def on_data(data: bytes) -> None:
            for message in decoder.feed(data):
                self._on_message(child, message)

        def on_silence() -> None:
            # A child that closed its channel cannot be told anything any more; one that was told to
            # leave closes it last, on its way out.
            if self.drain is None:
                child.kill()

        stream = Stream(self._selector, ours, on_data, on_silence)
        now = time.monotonic()
        child.began(pid, stream, publication.generation, now)
        self._heartbeat.began(child, now)

    def _release(self, child: Child, ours: socket.socket) -> None:
        """In a new child: close what belongs to the supervisor or to other children."""
        self._selector.close()
        self._signals.release()
        self._commands.release()
        self.instance.run_dir.close()
        ours.close()
        for other in self.children:
            if other.stream is not None:
                other.stream.sock.close()
        if child is self.control:
            self.instance.http.close()
            return
        for listener in self.instance.control_listeners:
            listener.close()
        for slot, sock in enumerate(self.instance.http.sockets):
            if slot != child.slot:
                sock.close()

    def _reap(self) -> None:
        for child in self.children:
            if child.pid is None:
                continue
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if pid:
                self._on_death(child, os.waitstatus_to_exitcode(status))

    def _on_death(self, child: Child, code: int) -> None:
        expected = self.drain is not None
        log.log(
            logging.INFO if expected else logging.ERROR,
            "%s (pid %s) %s", child.name, child.pid, how_it_ended(code),
        )  # fmt: skip
        self.instance.segment.reset_gauges(child.slot)
        now = time.monotonic()
        if self.drain is not None:
            child.ended(now)
            self.drain.tick(now)
            return
        self._wait_before_restart(child)
        if child is self.control:
            self._reloads.control_gone(now)
        else:
            self._reloads.worker_gone(child.slot, now)

    def _wait_before_restart(self, child: Child) -> None:
        delay_s = child.ended(time.monotonic())
        child.restarts += 1
        if child is not self.control:
            self.instance.segment.add(self.control.slot, "worker_restarts_total", 1)
        if delay_s == 0:
            self._start(child)
            return
        log.error(
            "%s died %d times within seconds of its start; the next try is in %.1f s. "
            "Its own messages above say why.",
            child.name, child.backoff.quick_deaths, delay_s,
        )  # fmt: skip
        if child is not self.control:
            # Nobody will accept here for a while: let the kernel give new connections to the
            # others. shutdown, not close: the port stays ours.
            self.instance.http.sockets[child.slot].shutdown(socket.SHUT_RD)

    def _on_message(self, child: Child, message: Message) -> None:
        now = time.monotonic()
        match message["type"]:
            case "ready":
                child.ready = True
                if child is self.control:
                    self._reloads.control_ready()
                elif message["generation"] != self._reloads.target.generation:
                    _send_plan(child, self._reloads.target)
            case "installed":
                child.generation = message["generation"]
                self._reloads.installed(child.slot, child.generation, now)
            case "rejected":
                self._reloads.rejected(child.slot, message["generation"], message["reason"], now)
            case "report":
                child.connections = message["connections"]
                child.exchanges = message["exchanges"]
            case "loaded":
                self._reloads.loaded(Publication.from_message(message["publication"]), now)
            case "problems":
                self._reloads.refused(message["generation"], message["problems"], now)
            case "reload":
                self._reload(lambda outcome: _answer(child, message, asdict(outcome)))
            case "endpoints":
                if self.drain is None:
                    self._reloads.refresh(now)
            case "discovery":
                self.discovery = message["services"]
            case "status":
                _answer(child, message, self.status())

    # --- reload ------------------------------------------------------------------------------

    def load(self, generation: int) -> bool:
        """Ask control for this generation (``reloads.Host``)."""
        return self._ask_control("load", generation)

    def refresh(self, generation: int) -> bool:
        """Ask control for the Plan in force with the endpoints of now (``reloads.Host``)."""
        return self._ask_control("refresh", generation)

    def _ask_control(self, what: str, generation: int) -> bool:
        if self.control.ready:
            self.control.send({"type": what, "generation": generation})
        return self.control.ready

    def offer(self, publication: Publication) -> set[int]:
        """Send a Plan to every ready worker (``reloads.Host``)."""
        ready = [worker for worker in self.workers if worker.ready]
        for worker in ready:
            _send_plan(worker, publication)
        return {worker.slot for worker in ready}

    def commit(self, publication: Publication) -> None:
        """This Plan is in force (``reloads.Host``)."""
        self.publication = publication
        self.control.send({"type": "published", "publication": publication.to_message()})
        try:
            self.instance.run_dir.save_plan(publication.plan.encode())
        except OSError as error:
            log.error("cannot keep the plan in %s: %s", self.instance.run_dir.path, error)
        self._start_waiting_workers()

    def finished(self, outcome: Outcome) -> None:
        """Tell the log, the metrics and the status document (``reloads.Host``)."""
        if outcome.refresh:
            if not outcome.ok:
                log.error("new endpoints are not in use: %s", "; ".join(outcome.problems))
            return
        self.last_reload = {
            "ok": outcome.ok,
            "time": time.time(),
            "problems": outcome.problems,
            "needs_restart": outcome.needs_restart,
        }
        counter = "reloads_total" if outcome.ok else "reload_failures_total"
        self.instance.segment.add(self.control.slot, counter, 1)
        if not outcome.ok:
            log.error(
                "reload refused, generation %d stays in force:\n%s",
                outcome.generation, "\n".join(outcome.problems),
            )  # fmt: skip
            return
        log.info("generation %d of the configuration is in force", outcome.generation)
        if outcome.needs_restart:
            log.warning("changed, but needs a restart: %s", ", ".join(outcome.needs_restart))

    def _reload(self, answer: Answer) -> None:
        if self.drain is not None:
            answer(Outcome(False, self.publication.generation, (DRAINING,)))
            return
        self._reloads.request(answer, time.monotonic())

    # --- what operators ask for --------------------------------------------------------------

    def _on_signal(self, number: signal.Signals) -> None:
        if number == signal.SIGCHLD:
            self._reap()
        elif number == signal.SIGHUP:
            self._reload(lambda outcome: None)  # `finished` tells the log
        elif number == signal.SIGUSR1:
            log.info("reopening log files")
            for worker in self.workers:
                worker.send({"type": "reopen_logs"})
        elif number == signal.SIGINT and self.drain is not None:
            log.warning("second INT: the rest is cut off")
            self._exit_code = 1
        else:
            self._begin_drain(number.name)

    def _on_command(self, command: str, reply: Reply) -> None:
        match command:
            case "status":
                reply.done(True, status=self.status())
            case "health":
                reply.done(self.healthy, state=self.state)
            case "reload" if self.drain is not None:
                reply.done(False, error=DRAINING)
            case "reload":
                self._reload(lambda outcome: reply.done(**asdict(outcome)))
            case "drain" | "stop":
                drain = self._begin_drain(f"`gateway {command}`")
                drain.follow(reply, time.monotonic())
            case _:
                reply.done(
                    False, error=f"unknown command {command!r}: status, health, reload, drain, stop"
                )

    @property
    def state(self) -> str:
        """``running`` or ``draining``."""
        return "running" if self.drain is None else "draining"

    @property
    def healthy(self) -> bool:
        """Whether new requests are served: not draining, and at least one worker accepts."""
        return self.drain is None and any(worker.ready for worker in self.workers)

    def status(self) -> dict[str, Any]:
        """What ``gateway status`` and the status port show."""
        return status_document(self)

    def _begin_drain(self, why: str) -> Drain:
        if self.drain is None:
            log.info("draining because of %s", why)
            self.instance.http.close()
            self.drain = Drain(
                self.workers, self.control, self.publication.drain_timeout_s, time.monotonic()
            )
            self.drain.on_end = self._end
        return self.drain

    def _end(self) -> None:
        self._exit_code = 0


def _answer(control: Child, question: Message, answer: dict[str, Any]) -> None:
    """Control ignores an answer to a question that had no id."""
    control.send({"type": "answer", "id": question.get("id"), "answer": answer})


def _send_plan(worker: Child, publication: Publication) -> None:
    worker.send({"type": "plan", "generation": publication.generation, "plan": publication.plan})
