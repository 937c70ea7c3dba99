"""Instances that are gone when their test is."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.processes.instance import Instance
from tests.processes.login import Gateway, add_ann
from tests.servers.upstream import EchoUpstream


@pytest.fixture
def make_instance(tmp_path: Path) -> Iterator[Callable[..., Instance]]:
    """Makes instances that are not yet started: ``make_instance(workers=1)``."""
    made: list[Instance] = []

    def make(**settings: Any) -> Instance:
        directory = tmp_path / str(len(made))
        directory.mkdir()
        made.append(Instance(directory, **settings))
        return made[-1]

    yield make
    for instance in made:
        instance.end()


@pytest.fixture
def instance(make_instance: Callable[..., Instance]) -> Instance:
    """A running one with two workers."""
    started = make_instance()
    started.start()
    return started


@pytest.fixture
def make_gateway(tmp_path: Path, echo: EchoUpstream) -> Iterator[Callable[..., Gateway]]:
    made: list[Gateway] = []

    def make(store: str = "", state: str = "memory://") -> Gateway:
        directory = tmp_path / f"g{len(made)}"
        directory.mkdir()
        host, port = echo.address
        upstream = f"{host}:{port}"
        made.append(Gateway(directory, upstream, store or f"sqlite:///{directory}/g.db", state))
        return made[-1]

    yield make
    for gateway in made:
        gateway.end()


@pytest.fixture
def gateway(make_gateway: Callable[..., Gateway]) -> Gateway:
    """A running one with a user."""
    made = make_gateway()
    made.in_store(add_ann)
    made.begin()
    return made
