"""A small service as a process of its own: to be stopped, killed and started again.

``python -m tests.servers.plain_service PORT [NAME [ERRORS [SLOW]]]``: answers every request with
200 and NAME; a share ERRORS of them with 503, and a share SLOW of them 200 ms late.
"""

import asyncio
import random
import sys
from typing import cast

LATE_S = 0.2


class Answers(asyncio.Protocol):
    def __init__(self, name: bytes, errors: float, slow: float, draws: random.Random) -> None:
        length = str(len(name)).encode()
        self._good = b"HTTP/1.1 200 OK\r\nContent-Length: " + length + b"\r\n\r\n" + name
        self._bad = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy"
        self._errors = errors
        self._slow = slow
        self._draws = draws
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        *whole, self._received = (self._received + data).split(b"\r\n\r\n")
        for _ in whole:
            failed = self._draws.random() < self._errors
            answer = self._bad if failed else self._good
            if self._draws.random() < self._slow:
                asyncio.get_running_loop().call_later(LATE_S, self._transport.write, answer)
            else:
                self._transport.write(answer)


async def serve(port: int, name: bytes, errors: float, slow: float) -> None:
    draws = random.Random(port)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Answers(name, errors, slow, draws), "127.0.0.1", port)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    given = dict(enumerate(sys.argv[1:]))
    shares = (float(given.get(place, "0")) for place in (2, 3))
    asyncio.run(serve(int(given[0]), given.get(1, "done").encode(), *shares))
