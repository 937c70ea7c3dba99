"""HTTP with JSON answers, as Consul and Kubernetes speak it. All failures become SourceError."""

import contextlib
import ssl
from collections.abc import AsyncGenerator, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import orjson

from gateway.upstreams.discovery.source import SourceError

CONNECT_TIMEOUT_S = 5.0
ERROR_TEXT = 200
"""Characters of an answer that go into the log."""

Parameters = Mapping[str, str | int | list[str]]


def read_token(path: Path) -> str:
    """The secret in a file that others renew: read it for each request."""
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"cannot read the token in {path}: {error}") from None


@contextlib.contextmanager
def expected_shape(address: str) -> Iterator[None]:
    """Around code that takes a document apart: one of another shape is a failure of its sender."""
    try:
        yield
    except (TypeError, KeyError, IndexError, AttributeError, ValueError) as error:
        raise SourceError(f"{address}: unexpected answer: {error!r}") from None


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """What verifies the server: the system's certificates, or those in `ca_file`."""
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise SourceError(f"cannot use the certificates in {ca_file}: {error}") from None


class JsonClient:
    """One server. Proxies and credentials of the environment are not for it."""

    def __init__(self, address: str, ca_file: Path | None = None) -> None:
        self._address = address
        verify = tls_context(ca_file) if address.startswith("https:") else False
        self._client = httpx.AsyncClient(base_url=address, verify=verify, trust_env=False)

    async def close(self) -> None:
        """Close its connections."""
        await self._client.aclose()

    async def get(
        self, path: str, parameters: Parameters, headers: Mapping[str, str], timeout_s: float
    ) -> tuple[Any, httpx.Headers]:
        """The document and the answer's head."""
        timeout = httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S)
        with self._failures():
            answer = await self._client.get(
                path, params=dict(parameters), headers=dict(headers), timeout=timeout
            )
            self._check(answer.status_code, answer.text)
            return orjson.loads(answer.content), answer.headers

    async def lines(
        self, path: str, parameters: Parameters, headers: Mapping[str, str], timeout_s: float
    ) -> AsyncGenerator[Any, None]:
        """A document for each line of an answer that has no end. Ends when the server ends it.

        `timeout_s` bounds the silence between two lines.
        """
        timeout = httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S)
        with self._failures():
            request = self._client.build_request(
                "GET", path, params=dict(parameters), headers=dict(headers), timeout=timeout
            )
            answer = await self._client.send(request, stream=True)
        try:
            if answer.status_code != httpx.codes.OK:
                with self._failures():
                    await answer.aread()
                    self._check(answer.status_code, answer.text)
            # Once open it may be cut at any time; that is an end like any other.
            with contextlib.suppress(httpx.TransportError):
                async for line in answer.aiter_lines():
                    if line:
                        with self._failures():
                            document = orjson.loads(line)
                        yield document
        finally:
            await answer.aclose()

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise SourceError(f"{self._address} does not answer: {reason}") from None
        except orjson.JSONDecodeError as error:
            raise SourceError(f"{self._address} answers no JSON: {error}") from None

    def _check(self, status: int, text: str) -> None:
        if status != httpx.codes.OK:
            raise StatusError(
                status, f"{self._address} answers {status}: {text[:ERROR_TEXT].strip()}"
            )


class StatusError(SourceError):
    """An answer other than 200."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
