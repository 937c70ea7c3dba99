"""A whole gateway whose endpoints are found in DNS: they move, and no request fails."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from tests.processes.instance import Instance, eventually, fetch
from tests.servers.consul_server import ConsulServer
from tests.servers.consul_server import Instance as Registered
from tests.servers.dns_server import DnsServer
from tests.servers.load import Load
from tests.servers.upstream import Upstream, UpstreamConnection

NAME = "web.test"
SERVICE = (
    "services: {{ web: {{ discovery: {{ dns: {{ name: web.test, type: SRV, min_ttl: 200ms, "
    'resolver: "{resolver}" }} }} }} }}\n'
    'routes: [ {{ path: "/{{path...}}", service: web, auth: none }} ]\n'
)


class Named(Upstream):
    """Answers everything with the same four bytes and counts what it answered."""

    answered = 0

    def serve(self, connection: UpstreamConnection) -> None:
        while connection.recv_head() and connection.recv_body():
            self.answered += 1
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")
            connection.answered()


@pytest.fixture
def names() -> Iterator[DnsServer]:
    server = DnsServer()
    server.set("host.test", "A", "127.0.0.1")
    yield server
    server.close()


@pytest.fixture
def upstreams() -> Iterator[list[Named]]:
    made = [Named() for _ in range(3)]
    yield made
    for upstream in made:
        upstream.close()


@pytest.fixture
def discovering(make_instance: Callable[..., Instance], names: DnsServer) -> Instance:
    """Not yet started."""
    instance = make_instance()
    server, _, _ = instance.config.read_text().partition("services:")
    instance.config.write_text(server + SERVICE.format(resolver=names.address))
    return instance


def publish(names: DnsServer, *upstreams: Upstream) -> None:
    names.set(NAME, "SRV", *(f"1 1 {each.address[1]} host.test." for each in upstreams))


def get(instance: Instance) -> tuple[int, dict[str, str], bytes]:
    return fetch(instance.address("http"), "/")


def test_traffic_follows_the_records_and_no_request_fails(
    discovering: Instance, names: DnsServer, upstreams: list[Named]
) -> None:
    first, second, third = upstreams
    publish(names, first)
    discovering.start(data_plane="compiled")
    load = Load(discovering.address("http"), clients=4)
    load.start()
    eventually(lambda: first.answered > 20, "the first endpoint answers")
    publish(names, second, third)
    eventually(lambda: second.answered > 20 and third.answered > 20, "traffic moves")
    eventually(lambda: first.open_connections == 0, "the endpoint that left is drained")
    count = first.answered
    eventually(lambda: load.answered > 500, "the load goes on")
    load.stop()
    assert load.failures == []
    assert load.reconnects == 0
    assert first.answered == count
    assert discovering.status()["last_reload"] is None, "no reload of the file"


def test_a_dead_source_leaves_the_last_good_set_in_use(
    discovering: Instance, names: DnsServer, upstreams: list[Named]
) -> None:
    publish(names, upstreams[0])
    discovering.start(data_plane="compiled")
    names.close()
    discovering.wait_for_log("the 1 known before stay in use")
    assert get(discovering)[0] == 200
    assert discovering.ask("reload")["ok"], "a reload does not need the source either"
    assert get(discovering)[0] == 200
    text = fetch(discovering.address("status"), "/metrics")[2].decode()
    assert 'gateway_discovery_endpoints{service="web"} 1\n' in text
    assert 'gateway_discovery_age_seconds{service="web"} ' in text
    assert 'gateway_discovery_failures_total{service="web"} 0\n' not in text


def test_control_that_dies_forgets_no_endpoint(
    discovering: Instance, names: DnsServer, upstreams: list[Named]
) -> None:
    publish(names, upstreams[0])
    discovering.start(data_plane="compiled")
    names.silent = True
    pid = discovering.status()["control"]["pid"]
    os.kill(pid, signal.SIGKILL)
    eventually(
        lambda: (
            discovering.status()["control"]["up"] and discovering.status()["control"]["pid"] != pid
        ),
        "a successor",
    )
    time.sleep(0.5)
    assert get(discovering)[0] == 200
    _, services = discovering.admin("GET", "/services")
    assert len(services["items"][0]["status"]["endpoints"]) == 1
    names.silent = False
    publish(names, upstreams[1])
    eventually(lambda: get(discovering)[0] == 200 and upstreams[1].answered, "traffic moves")


def test_without_a_first_answer_it_starts_and_refuses(
    discovering: Instance, names: DnsServer, upstreams: list[Named]
) -> None:
    names.silent = True
    started = time.monotonic()
    discovering.start(data_plane="compiled")
    assert time.monotonic() - started < 20
    status, fields, body = get(discovering)
    assert (status, json.loads(body)["code"]) == (503, "upstream_unavailable")
    assert fields["retry-after"] == "1"
    publish(names, upstreams[0])
    names.silent = False
    eventually(lambda: get(discovering)[0] == 200, "endpoints at last")


def test_status_and_admin_show_endpoints_source_and_age(
    discovering: Instance, names: DnsServer, upstreams: list[Named]
) -> None:
    publish(names, upstreams[0])
    discovering.start(data_plane="compiled")
    url = f"http://127.0.0.1:{upstreams[0].address[1]}"
    eventually(lambda: discovering.status()["discovery"], "a report to the supervisor")
    shown = discovering.verb("status").stdout
    assert "web  from dns SRV web.test  ok  1 endpoint, confirmed" in shown
    assert f"  {url}  weight 1\n" in shown
    service, *_ = discovering.admin("GET", "/services")[1]["items"]
    assert service["discovery"]["state"] == "ok"
    assert service["discovery"]["age_s"] < 5
    assert service["status"]["endpoints"][0]["url"] == url


def test_an_instance_that_registers_in_consul_is_used_at_once(
    make_instance: Callable[..., Instance], upstreams: list[Named]
) -> None:
    consul = ConsulServer()
    consul.token = "secret"
    ports = [each.address[1] for each in upstreams]
    consul.register("web", Registered(ports[0], "127.0.0.1"))
    instance = make_instance()
    server, _, _ = instance.config.read_text().partition("services:")
    settings = f"{{ address: '{consul.address}', service: web, token: secret }}"
    service = f"services: {{ web: {{ discovery: {{ consul: {settings} }} }} }}\n"
    instance.config.write_text(
        server + service + 'routes: [ { path: "/{p...}", service: web, auth: none } ]\n'
    )
    instance.start(data_plane="compiled")
    assert get(instance)[0] == 200
    consul.register("web", Registered(ports[1], "127.0.0.1"))
    begin = time.monotonic()
    eventually(lambda: get(instance)[0] == 200 and upstreams[1].answered, "the new instance")
    assert time.monotonic() - begin < 9, "a blocking query, not polling"
    shown = json.dumps(instance.admin("GET", "/config")[1])
    assert "secret" not in shown + (instance.run_dir / "plan.json").read_text()
    assert "secret" not in instance.log()
    consul.close()


def test_a_reload_brings_a_new_service_with_its_endpoints(
    discovering: Instance, names: DnsServer, upstreams: list[Named]
) -> None:
    publish(names, upstreams[0])
    text = discovering.config.read_text()
    port = upstreams[1].address[1]
    static = f"services: {{ web: {{ endpoints: [ http://127.0.0.1:{port} ] }} }}\n"
    server, _, rest = text.partition("services:")
    discovering.config.write_text(server + static + rest.partition("\n")[2])
    discovering.start(data_plane="compiled")
    assert get(discovering)[0] == 200
    discovering.config.write_text(text)
    assert discovering.ask("reload")["ok"]
    assert get(discovering)[0] == 200
    assert upstreams[0].answered == 1
