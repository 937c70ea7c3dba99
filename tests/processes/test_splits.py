"""The shares of a split, changed while a whole gateway runs."""

from collections.abc import Callable

from tests.processes.instance import Instance, fetch
from tests.processes.test_discovery import Named


def test_a_share_is_in_force_in_all_workers_when_it_is_answered(
    make_instance: Callable[..., Instance],
) -> None:
    old, new = Named(), Named()
    try:
        instance = make_instance()
        server, _, _ = instance.config.read_text().partition("services:")
        services = ", ".join(
            f"{name}: {{ endpoints: [ 'http://127.0.0.1:{each.address[1]}' ] }}"
            for name, each in (("old", old), ("new", new))
        )
        instance.config.write_text(
            f"{server}services: {{ {services} }}\n"
            'routes: [ { path: "/{p...}", name: web, service: old, auth: none, '
            "split: [ { service: old, weight: 1 }, { service: new } ] } ]\n"
        )
        instance.start(data_plane="compiled")

        def counts() -> tuple[int, int]:
            """Of 12 requests on connections of their own, so that every worker is asked."""
            before = old.answered, new.answered
            for _ in range(12):
                assert fetch(instance.address("http"), "/")[0] == 200
            return old.answered - before[0], new.answered - before[1]

        assert counts() == (12, 0)
        changed, view = instance.admin(
            "PATCH", "/splits/web", {"shares": {"new": 1.0}}, if_match="*"
        )
        assert (changed, view["parts"][1]["share"]) == (200, 1.0)
        assert counts() == (0, 12)
        assert "split      web  old 0 %, new 100 % (set)" in instance.verb("status").stdout
        assert instance.admin("PATCH", "/splits/web", {"shares": {"new": None}}, if_match="*")
        assert counts() == (12, 0)
    finally:
        old.close()
        new.close()
