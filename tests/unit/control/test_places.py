"""Places live as long as a Plan names them, and a while longer."""

import asyncio
import mmap

import pytest

from gateway._core import Segment
from gateway.control import places as module
from gateway.control.places import Places, places_of
from gateway.control.publication import Publication


def publication(*endpoints: int, part: int | None = None) -> Publication:
    services = [{"endpoints": [{"place": place} for place in endpoints]}]
    splits = [] if part is None else [{"split": [{"place": part}], "canary": None}]
    return Publication(1, "{}", {}, 0, services=services, splits=splits)


def test_places_of_endpoints_and_splits() -> None:
    made = publication(3, 4, part=9)
    assert [*places_of(made.services, made.splits)] == [3, 4, 9]


def test_what_no_plan_names_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GRACE_S", 0)
    monkeypatch.setattr(module, "SWEEP_S", 0.01)
    segment = Segment(mmap.mmap(-1, Segment.size_for(1)), 1, create=True)
    places = Places(segment)
    stays, goes, share = (places.place(name) for name in ("web a", "web b", "canary"))
    assert places.intern("web") == segment.intern("web")

    async def sweep() -> None:
        running = asyncio.create_task(places.run())
        async with asyncio.timeout(5):
            while segment.collect()["places_used"] > 2:
                await asyncio.sleep(0.01)
        running.cancel()

    places.published(publication(stays, part=share))
    asyncio.run(sweep())
    assert [places.place("web a"), places.place("canary")] == [stays, share]
    assert places.place("web c") == goes


def test_a_new_control_process_knows_what_is_in_force() -> None:
    segment = Segment(mmap.mmap(-1, Segment.size_for(1)), 1, create=True)
    kept = Places(segment).place("web a")
    later = Places(segment, publication(kept))
    assert later.sweep() == 0
