"""A TCP proxy between the gateway and an upstream that stalls, cuts, resets and throttles.

The pattern is asyncpg's ``_testbase/fuzzer.py``: the faults are the network's, both ends are real.
"""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable

CHUNK = 1 << 14
POLL_S = 0.02


class FaultyNetwork:
    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.address: tuple[str, int] = self._listener.getsockname()
        self.accepted = 0
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._sockets: list[socket.socket] = []
        self._flowing = threading.Event()
        self._flowing.set()
        self._bytes_per_s = 0.0  # 0: as fast as it goes
        self._closing = False
        self._threads: list[threading.Thread] = []
        self._spawn(self._accept)

    def stall(self) -> None:
        """Nothing passes any more, in either direction; connections stay open."""
        self._flowing.clear()

    def resume(self) -> None:
        self._flowing.set()

    def throttle(self, bytes_per_s: float) -> None:
        self._bytes_per_s = bytes_per_s

    def cut(self) -> None:
        """Ends every connection with FIN, on both sides."""
        for pair in self._take_pairs():
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def reset(self) -> None:
        """Ends every connection with RST, on both sides."""
        for pair in self._take_pairs():
            for end in pair:
                with contextlib.suppress(OSError):
                    linger = struct.pack("ii", 1, 0)
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    end.close()

    def close(self) -> None:
        self._closing = True
        self.resume()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(5.0)
        for each in self._sockets:
            each.close()

    def _take_pairs(self) -> list[tuple[socket.socket, socket.socket]]:
        pairs, self._pairs = self._pairs, []
        return pairs

    def _spawn(self, target: Callable[..., object], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, name="network", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closing:
            try:
                near, _ = self._listener.accept()
            except OSError:
                continue
            try:
                far = socket.create_connection(self._target, timeout=5.0)
            except OSError:
                near.close()
                continue
            self.accepted += 1
            self._pairs.append((near, far))
            self._sockets += (near, far)
            self._spawn(self._pump, near, far)
            self._spawn(self._pump, far, near)

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        # A timeout lets a reset from another thread take effect: close() alone wakes nobody.
        source.settimeout(POLL_S)
        try:
            while not self._closing:
                try:
                    data = source.recv(CHUNK)
                except TimeoutError:
                    continue
                self._flowing.wait()
                if not data:
                    sink.shutdown(socket.SHUT_WR)
                    return
                self._send(sink, data)
        except OSError:
            return

    def _send(self, sink: socket.socket, data: bytes) -> None:
        if not self._bytes_per_s:
            sink.sendall(data)
            return
        slice_size = max(1, int(self._bytes_per_s * POLL_S))
        for start in range(0, len(data), slice_size):
            sink.sendall(data[start : start + slice_size])
            time.sleep(POLL_S)
