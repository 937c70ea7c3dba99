"""A directory with a small configuration, and a way to run verbs in it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main

CONFIG = """\
server: {workers: 2}
services:
  a: {endpoints: [{url: http://a, weight: 3}, "unix:///run/a.sock"], host: a.internal}
routes:
  - {path: "/a/{rest...}", service: a, strip_prefix: /a}
  - {name: post, path: /post, service: a, methods: POST}
"""

Run = Callable[..., Result]


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs ``gateway`` with the arguments, beside a good ``gateway.yaml``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GATEWAY_CONFIG", raising=False)
    Path("gateway.yaml").write_text(CONFIG)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, arguments, catch_exceptions=False)

    return run
