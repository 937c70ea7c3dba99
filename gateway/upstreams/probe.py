"""One look at an endpoint: does it take a connection, does it answer as it should?"""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

__all__ = ["probe"]

LINE_LIMIT = 4096
"""Bytes of a status line; what is longer is no answer."""


async def probe(
    endpoint: Mapping[str, Any], health: Mapping[str, Any], host: str | None
) -> str | None:
    """None if all is well, else what is wrong. `endpoint`, `health`: as in the Plan."""
    try:
        async with asyncio.timeout(health["timeout"]):
            return await _look(endpoint, health, host)
    except TimeoutError:
        return f"no answer within {health['timeout']:g} s"
    except OSError as error:
        return error.strerror or str(error)
    except ValueError:
        return "the answer is not HTTP"


async def _look(
    endpoint: Mapping[str, Any], health: Mapping[str, Any], host: str | None
) -> str | None:
    if endpoint["unix"]:
        opened = asyncio.open_unix_connection(endpoint["unix"], limit=LINE_LIMIT)
        authority = "localhost"
    else:
        opened = asyncio.open_connection(endpoint["host"], endpoint["port"], limit=LINE_LIMIT)
        literal = f"[{endpoint['host']}]" if ":" in endpoint["host"] else endpoint["host"]
        authority = f"{literal}:{endpoint['port']}"
    reader, writer = await opened
    try:
        if health["path"] is None:
            return None
        writer.write(
            f"GET {health['path']} HTTP/1.1\r\nHost: {host or authority}\r\n"
            "User-Agent: gateway-health-check\r\nAccept: */*\r\nConnection: close\r\n\r\n".encode()
        )
        return _verdict(await reader.readline(), health["statuses"])
    finally:
        with contextlib.suppress(OSError):
            writer.transport.abort()


def _verdict(line: bytes, statuses: list[int]) -> str | None:
    version, _, rest = line.partition(b" ")
    if not line:
        return "it closed the connection without an answer"
    if not version.startswith(b"HTTP/1.") or not rest[:3].isdigit():
        raise ValueError(line)
    status = int(rest[:3])
    good = status in statuses if statuses else 200 <= status < 400
    return None if good else f"it answers {status}"
