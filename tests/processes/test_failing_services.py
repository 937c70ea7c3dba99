"""Services that hang, die and fail, behind a whole instance: what their clients notice of it.

Each test prints its timeline (``pytest -s``).
"""

import signal
import socket
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.processes.instance import Instance, eventually, fetch
from tests.servers.timeline import Timeline, percentile

ROOT = Path(__file__).parents[2]
NORMAL_S = 0.1
"""An answer within this is as good as before: generous, for the machine has other work."""

WINDOW_S, SETTLE_S = 0.3, 0.1
QUEUE_TIMEOUT_S = 0.1
PAIRS = 12
"""Windows of a load, in turn without and with a disturbance: neighbours share the machine's mood.
The median of their ratios is printed; a busy machine moves it, so that it fails no test."""


class Service:
    """A process that can be stopped, killed and started again on its port."""

    def __init__(self, name: str = "done", errors: float = 0.0, slow: float = 0.0) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self._arguments = [str(self.port), name, str(errors), str(slow)]
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.servers.plain_service", *self._arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"ready\n"

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()


Start = Callable[[str], Instance]


@pytest.fixture
def services() -> Iterator[Callable[..., Service]]:
    started: list[Service] = []

    def start(name: str = "done", errors: float = 0.0, slow: float = 0.0) -> Service:
        started.append(Service(name, errors, slow))
        return started[-1]

    yield start
    for service in started:
        service.kill()


@pytest.fixture
def start(make_instance: Callable[..., Instance]) -> Start:
    """Starts an instance with these services and routes."""

    def begin(text: str) -> Instance:
        instance = make_instance()
        head = instance.config.read_text().partition("services:")[0]
        instance.config.write_text(head + text)
        instance.start(data_plane="compiled")
        return instance

    return begin


def one_service(services: list[Service], settings: str) -> str:
    endpoints = ", ".join(service.url for service in services)
    return (
        f"services:\n  web:\n    endpoints: [ {endpoints} ]\n{settings}"
        'routes:\n  - { path: "/{path...}", service: web, auth: none }\n'
    )


def warm_up(timeline: Timeline) -> None:
    timeline.start()
    eventually(lambda: len(timeline.samples) > 50, "the load runs")


def counter(metrics: str, name: str) -> int:
    """Of the service `web`."""
    begin = f'gateway_{name}{{service="web"}} '
    (line,) = (line for line in metrics.splitlines() if line.startswith(begin))
    return int(line.removeprefix(begin))


def answers(timeline: Timeline, begin: float, end: float) -> Counter[str]:
    return Counter(sample.outcome for sample in timeline.between(begin, end))


def test_one_of_three_hangs(start: Start, services: Callable[..., Service]) -> None:
    trio = [services() for _ in range(3)]
    instance = start(
        one_service(
            trio,
            "    timeouts: { response: 300ms }\n"
            "    outlier: { consecutive_failures: 3, eject_for: 20s }\n"
            "    retries: { attempts: 3, on: [ connect, reset, timeout ] }\n",
        )
    )
    timeline = Timeline(instance.address("http"))
    warm_up(timeline)
    time.sleep(1)
    trio[0].signal(signal.SIGSTOP)
    hung = timeline.mark("one of three hangs")
    time.sleep(3)
    end = time.monotonic()
    timeline.stop()
    trio[0].signal(signal.SIGCONT)
    timeline.print("one of three hangs")
    assert percentile(timeline.between(hung + 2, end), 99) < NORMAL_S
    assert answers(timeline, 0, end).keys() == {"200"}


def test_all_die_and_come_back(start: Start, services: Callable[..., Service]) -> None:
    open_for_s = 2.0
    trio = [services() for _ in range(3)]
    instance = start(
        one_service(
            trio,
            "    breaker: { min_requests: 10, window: 2s, open_for: 2s }\n"
            "    fallback: { status: 200, json: { resting: true } }\n",
        )
    )
    timeline = Timeline(instance.address("http"), pause_s=0.01)
    warm_up(timeline)
    time.sleep(0.5)
    for service in trio:
        service.kill()
    dead = timeline.mark("all are dead")
    eventually(lambda: "circuit breaker of web: open" in instance.log(), "the breaker opens")
    opened = timeline.mark("the breaker is open")
    time.sleep(0.5)
    metrics = fetch(instance.address("status"), "/metrics")[2].decode()
    for service in trio:
        service.start()
    back = timeline.mark("all are back")
    eventually(lambda: "circuit breaker of web: closed" in instance.log(), "the breaker closes")
    closed = timeline.mark("the breaker is closed")
    time.sleep(0.5)
    end = time.monotonic()
    timeline.stop()
    timeline.print("all die and come back")
    assert opened - dead < 1
    assert 'gateway_circuit_breaker_state{service="web"} 1' in metrics
    assert answers(timeline, opened, back).keys() == {"200 fallback"}
    assert closed - back < open_for_s + 1
    assert answers(timeline, closed + 0.1, end).keys() == {"200"}
    assert "failed" not in answers(timeline, 0, end)


def test_a_tenth_of_errors_is_hidden(start: Start, services: Callable[..., Service]) -> None:
    trio = [services(errors=0.1) for _ in range(3)]
    instance = start(
        one_service(trio, "    retries: { attempts: 4, on: [ 503 ], budget: 20%, backoff: 5ms }\n")
    )
    timeline = Timeline(instance.address("http"), clients=16, pause_s=0.002)
    warm_up(timeline)
    time.sleep(4)
    timeline.stop()
    timeline.print("a tenth of all answers are errors")
    count = len(timeline.samples)
    shown = count - answers(timeline, 0, time.monotonic())["200"]
    metrics = fetch(instance.address("status"), "/metrics")[2].decode()
    retries = counter(metrics, "upstream_retries_total")
    print(f"{count} requests, {retries} retries, {shown} errors shown")
    assert count > 1000
    assert shown <= 0.1 * count / 100, "99 % of the errors are hidden"
    assert retries <= 0.2 * count + 2 * 10, "the budget, and what each worker has in reserve"


def test_hedging_hides_a_slow_endpoint(start: Start, services: Callable[..., Service]) -> None:
    trio = [services(slow=0.1), services(), services()]
    p99_s: dict[str, float] = {}
    for title, hedge in (("without", ""), ("with", "hedge: { quantile: 90% }")):
        settings = f"    retries: {{ attempts: 2, backoff: 5ms, {hedge} }}\n"
        instance = start(one_service(trio, settings))
        timeline = Timeline(instance.address("http"), clients=8)
        warm_up(timeline)
        time.sleep(1)
        begin = timeline.mark("warm")
        time.sleep(3)
        end = time.monotonic()
        timeline.stop()
        timeline.print(f"one of three is slow now and then, {title} hedging")
        p99_s[title] = percentile(timeline.between(begin, end), 99)
        assert answers(timeline, 0, end).keys() == {"200"}
        metrics = fetch(instance.address("status"), "/metrics")[2].decode()
    print({title: f"p99 {value * 1e3:.1f} ms" for title, value in p99_s.items()})
    assert p99_s["without"] >= 0.2
    assert p99_s["with"] < NORMAL_S
    sent, won = (counter(metrics, f"upstream_hedges{what}_total") for what in ("", "_won"))
    print(f"{sent} hedges, {won} won")
    assert 0 < won <= sent


def test_a_slow_endpoint_is_left_out(start: Start, services: Callable[..., Service]) -> None:
    trio = [services(slow=0.5), services(), services()]
    instance = start(
        one_service(
            trio, "    outlier: { latency_factor: 3, latency_floor: 20ms, eject_for: 20s }\n"
        )
    )
    timeline = Timeline(instance.address("http"), clients=8)
    warm_up(timeline)
    instance.wait_for_log(f"{trio[0].url} of web is left out for a while: it is much slower")
    left_out = timeline.mark("it is left out")
    time.sleep(1)
    end = time.monotonic()
    timeline.stop()
    timeline.print("one of three answers half of its requests late")
    assert percentile(timeline.between(left_out + 0.3, end), 99) < NORMAL_S


def test_a_rolling_restart_fails_no_request(start: Start, services: Callable[..., Service]) -> None:
    trio = [services() for _ in range(3)]
    instance = start(
        one_service(
            trio,
            "    outlier: { consecutive_failures: 2, eject_for: 500ms }\n"
            "    retries: { attempts: 4, on: [ connect, reset ], budget: 50% }\n",
        )
    )
    timeline = Timeline(instance.address("http"))
    warm_up(timeline)
    for number, service in enumerate(trio, 1):
        service.kill()
        timeline.mark(f"{number} is down")
        time.sleep(0.3)
        service.start()
        timeline.mark(f"{number} is back")
        time.sleep(0.7)
    timeline.stop()
    timeline.print("a rolling restart")
    assert answers(timeline, 0, time.monotonic()).keys() == {"200"}


def test_a_dead_service_does_not_slow_its_neighbour(
    start: Start, services: Callable[..., Service]
) -> None:
    live, dead = services(), services()
    instance = start(
        f"services:\n  live: {{ endpoints: [ {live.url} ] }}\n"
        f"  dead:\n    endpoints: [ {dead.url} ]\n    timeouts: {{ response: 300ms }}\n"
        "    bulkhead: { max_requests: 10, max_queue: 4, "
        f"queue_timeout: {QUEUE_TIMEOUT_S * 1000:.0f}ms }}\n"
        "routes:\n  - { path: /live, service: live, auth: none }\n"
        "  - { path: /dead, service: dead, auth: none }\n"
    )
    address = instance.address("http")
    dead.signal(signal.SIGSTOP)
    hanging = Timeline(address, clients=16, pause_s=0.1, path="/dead")
    live_one = Timeline(address, path="/live", pause_s=0)
    warm_up(live_one)
    pairs: list[tuple[float, float]] = []
    for _ in range(PAIRS):
        alone = p99_of_a_window(live_one)
        hanging.start()
        pairs.append((alone, p99_of_a_window(live_one)))
        hanging.stop()
    live_one.stop()
    dead.signal(signal.SIGCONT)
    refused = Counter(sample.outcome for sample in hanging.samples)
    shown = ", ".join(f"{alone * 1e3:.2f}/{beside * 1e3:.2f}" for alone, beside in pairs)
    print(f"\np99 of the live one, alone/beside, ms: {shown}")
    ratio = statistics.median(beside / alone for alone, beside in pairs)
    print(f"median of {len(pairs)} ratios {ratio:.3f}; the dead one: {dict(refused)}")
    assert {sample.outcome for sample in live_one.samples} == {"200"}
    assert refused["503"] > 0
    # Who waited behind the dead one would do so for its queue_timeout at the least.
    assert statistics.median(beside for _, beside in pairs) < QUEUE_TIMEOUT_S


def p99_of_a_window(load: Timeline) -> float:
    time.sleep(SETTLE_S)
    begin = time.monotonic()
    time.sleep(WINDOW_S)
    return percentile(load.between(begin, time.monotonic()), 99)


def ask(address: tuple[str, int], users: range) -> Counter[str]:
    """One request for each user, pipelined; who answered."""
    seen: Counter[str] = Counter()
    with socket.create_connection(address, timeout=10) as link, link.makefile("rb") as answers:
        for begin in range(users.start, users.stop, 100):
            batch = range(begin, min(begin + 100, users.stop))
            link.sendall(
                b"".join(b"GET / HTTP/1.1\r\nHost: a\r\nX-User-Id: %d\r\n\r\n" % n for n in batch)
            )
            for _ in batch:
                while (line := answers.readline().lower()) != b"\r\n":
                    if line.startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                seen[answers.read(length).decode()] += 1
    return seen


def test_a_canary_that_fails_is_rolled_back(start: Start, services: Callable[..., Service]) -> None:
    stable, new = services("stable"), services("canary")
    instance = start(
        f"services:\n  stable: {{ endpoints: [ {stable.url} ] }}\n"
        f"  new: {{ endpoints: [ {new.url} ] }}\n"
        "routes:\n"
        '  - path: "/{path...}"\n'
        "    service: stable\n"
        "    auth: none\n"
        "    split: [ { service: stable, weight: 95 }, { service: new, weight: 5 } ]\n"
        "    split_by: { header: X-User-Id }\n"
        "    canary: { service: new, min_requests: 50 }\n"
    )
    address = instance.address("http")
    shares = ask(address, range(20_000))
    print(f"\n20,000 users: {dict(shares)}")
    assert 0.04 < shares["canary"] / 20_000 < 0.06
    assert ask(address, range(2000)) == ask(address, range(2000)), "each user stays where he is"
    new.kill()
    began = time.monotonic()
    refused = ask(address, range(20_000, 23_000))
    instance.wait_for_log("canary new on /{path...} rolled back")
    print(f"the canary is dead: rolled back after {time.monotonic() - began:.1f} s")
    assert sum(refused.values()) == 3000
    assert ask(address, range(23_000, 26_000)) == {"stable": 3000}
