"""Process of ``GatewayProcess``: one worker, told what to do over a socket, a JSON line each."""

import asyncio
import collections
import gc
import json
import socket
import sys
from typing import Any

import orjson
import uvloop

from gateway.cext.worker import Worker
from tests.servers.gateway import new_segment
from tests.servers.plans import with_labels


class ControlledWorker:
    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._segment = new_segment()
        self._worker: Worker | None = None
        self._faults: list[str] = []

    async def install(self, plan: dict[str, Any]) -> dict[str, Any]:
        compiled = orjson.dumps(with_labels(plan, self._segment))
        if self._worker is not None:
            self._worker.install(compiled)
            return {}
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._record_fault)
        self._worker = Worker(loop, self._segment, 0, compiled, None)
        self._worker.start()
        self._worker.listen(self._listener)
        return {}

    async def counts(self) -> dict[str, Any]:
        """Live objects: the worker's own counters, and what the collector sees of its types."""
        assert self._worker is not None
        gc.collect()
        kinds = collections.Counter(
            type(thing).__qualname__
            for thing in gc.get_objects()
            if str(type(thing).__module__).startswith("gateway.cext")
        )
        return {
            "connections": self._worker.connections,
            "exchanges": self._worker.exchanges,
            "in_flight": sum(self._segment.endpoint(place, 1)["in_flight"] for place in range(64)),
            "objects": dict(kinds),
            "faults": self._faults,
        }

    async def drain(self) -> dict[str, Any]:
        assert self._worker is not None
        self._worker.drain()
        return {}

    def close(self) -> None:
        if self._worker is not None:
            self._worker.close()

    def _record_fault(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._faults.append(f"{context.get('message')}: {context.get('exception')!r}")


async def serve(listener: socket.socket, control: socket.socket) -> None:
    reader, writer = await asyncio.open_connection(sock=control, limit=2**24)
    controlled = ControlledWorker(listener)
    while line := await reader.readline():
        request = json.loads(line)
        try:
            answer = await getattr(controlled, request.pop("command"))(**request)
        except Exception as error:
            answer = {"fault": repr(error)}
        writer.write(orjson.dumps(answer) + b"\n")
        await writer.drain()
    controlled.close()


def main() -> None:
    listener, control = (socket.socket(fileno=int(fd)) for fd in sys.argv[1:3])
    for inherited in (listener, control):
        inherited.setblocking(False)
    uvloop.run(serve(listener, control))


if __name__ == "__main__":
    main()
