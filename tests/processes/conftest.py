"""Instances that are gone when their test is."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.processes.instance import Instance


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
