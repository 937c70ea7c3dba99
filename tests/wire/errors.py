"""What every refusal of the gateway's own looks like on the wire."""

import json
from typing import Any

from tests.servers.client import Response

# Words that would tell a stranger how we are built or whom we serve.
INTERNALS = (b"Traceback", b"gateway.cext", b"Worker", b"127.0.0.1", b".pyx", b".py")


def check_error(response: Response, status: int | tuple[int, ...], code: str) -> dict[str, Any]:
    """Status, code, the same correlation id in body and head, and nothing internal."""
    allowed = status if isinstance(status, tuple) else (status,)
    assert response.status in allowed, response.raw
    assert (response.get("content-type") or "").startswith("application/json")
    body = json.loads(response.body)
    assert body["code"] == code
    assert isinstance(body["error"], str)
    assert body["error"]
    assert body["correlationId"] == response.get("x-correlation-id")
    assert response.get("server") is None or "/" not in (response.get("server") or "")
    for word in INTERNALS:
        assert word not in response.raw
    return body
