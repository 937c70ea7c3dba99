"""The state machine of reloading, without processes."""

from gateway.control.publication import Publication
from gateway.supervisor.reloads import LOAD_TIMEOUT_S, Outcome, Reloads


def publication(generation: int, needs_restart: tuple[str, ...] = ()) -> Publication:
    return Publication(generation, f"plan {generation}", {}, 30.0, needs_restart)


class FakeHost:
    """Two workers and a control process that answer when the test says so."""

    def __init__(self) -> None:
        self.control_is_ready = True
        self.loads: list[int] = []
        self.refreshes: list[int] = []
        self.offers: list[int] = []
        self.committed: list[int] = []
        self.outcomes: list[Outcome] = []
        self.ready = {0, 1}

    def load(self, generation: int) -> bool:
        if self.control_is_ready:
            self.loads.append(generation)
        return self.control_is_ready

    def refresh(self, generation: int) -> bool:
        if self.control_is_ready:
            self.refreshes.append(generation)
        return self.control_is_ready

    def offer(self, publication: Publication) -> set[int]:
        self.offers.append(publication.generation)
        return set(self.ready)

    def commit(self, publication: Publication) -> None:
        self.committed.append(publication.generation)

    def finished(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)


class Scene:
    def __init__(self) -> None:
        self.host = FakeHost()
        self.reloads = Reloads(self.host, publication(1))
        self.answers: list[Outcome] = []

    def request(self, now: float = 0.0) -> None:
        self.reloads.request(self.answers.append, now)


def test_it_is_in_force_when_every_worker_has_it() -> None:
    scene = Scene()
    scene.request()
    scene.reloads.loaded(publication(2, ("server.http",)), 0)
    scene.reloads.installed(0, 2, 0)
    assert (scene.answers, scene.host.committed) == ([], [])
    assert scene.reloads.target.generation == 2
    scene.reloads.installed(1, 2, 0)
    assert scene.host.committed == [2]
    assert scene.answers == [Outcome(True, 2, (), ("server.http",))]
    assert scene.host.outcomes == scene.answers


def test_problems_leave_the_old_one_in_force() -> None:
    scene = Scene()
    scene.request()
    scene.reloads.refused(2, ["a: b"], 0)
    assert scene.answers == [Outcome(False, 1, ("a: b",))]
    assert (scene.host.offers, scene.reloads.target.generation) == ([], 1)


def test_requests_during_a_reload_share_the_next_one() -> None:
    scene = Scene()
    for _ in range(3):
        scene.request()
    assert scene.host.loads == [2]
    scene.reloads.refused(2, ["broken"], 0)
    assert len(scene.answers) == 1, "the later ones may mean a later file"
    assert scene.host.loads == [2, 3]
    scene.reloads.loaded(publication(3), 0)
    scene.reloads.installed(0, 3, 0)
    scene.reloads.installed(1, 3, 0)
    assert [answer.ok for answer in scene.answers] == [False, True, True]
    assert scene.host.loads == [2, 3]


def test_a_worker_that_rejects_it_makes_all_go_back() -> None:
    scene = Scene()
    scene.request()
    scene.reloads.loaded(publication(2), 0)
    scene.reloads.installed(0, 2, 0)
    scene.reloads.rejected(1, 2, "too big", 0)
    assert scene.host.offers == [2, 1]
    assert scene.host.committed == []
    assert scene.answers[0].problems == ("worker 1 could not install the new plan: too big",)
    scene.reloads.installed(0, 2, 0)  # late news of the one that was given up
    assert scene.host.committed == []


def test_a_worker_that_dies_is_not_waited_for() -> None:
    scene = Scene()
    scene.request()
    scene.reloads.loaded(publication(2), 0)
    scene.reloads.installed(0, 2, 0)
    scene.reloads.worker_gone(1, 0)
    assert scene.host.committed == [2]


def test_without_any_worker_it_is_in_force_at_once() -> None:
    scene = Scene()
    scene.host.ready = set()
    scene.request()
    scene.reloads.loaded(publication(2), 0)
    assert scene.host.committed == [2]


def test_it_waits_for_a_control_process_that_is_starting() -> None:
    scene = Scene()
    scene.host.control_is_ready = False
    scene.request()
    scene.reloads.control_gone(0)  # an earlier death: it had not been asked
    assert scene.answers == []
    scene.host.control_is_ready = True
    scene.reloads.control_ready()
    assert scene.host.loads == [2]


def test_a_control_process_that_dies_at_work_fails_the_reload() -> None:
    scene = Scene()
    scene.request()
    scene.reloads.control_gone(0)
    assert "died while it loaded" in scene.answers[0].problems[0]


def test_a_control_process_that_dies_after_its_work_does_not_matter() -> None:
    scene = Scene()
    scene.request()
    scene.reloads.loaded(publication(2), 0)
    scene.reloads.control_gone(0)
    assert scene.answers == []


def test_a_load_that_takes_too_long_is_given_up() -> None:
    scene = Scene()
    scene.request(now=10.0)
    scene.reloads.tick(10.0 + LOAD_TIMEOUT_S)
    assert scene.answers == []
    scene.reloads.tick(10.1 + LOAD_TIMEOUT_S)
    assert "did not answer within 60 s" in scene.answers[0].problems[0]
    scene.reloads.loaded(publication(2), 80)  # too late
    assert scene.host.offers == []


def test_new_endpoints_make_a_generation_without_the_file() -> None:
    scene = Scene()
    scene.reloads.refresh(0)
    assert (scene.host.loads, scene.host.refreshes) == ([], [2])
    scene.reloads.loaded(publication(2), 0)
    scene.reloads.installed(0, 2, 0)
    scene.reloads.installed(1, 2, 0)
    assert scene.host.committed == [2]
    assert scene.host.outcomes == [Outcome(True, 2, refresh=True)]


def test_refreshes_that_come_meanwhile_share_the_next_one() -> None:
    scene = Scene()
    for _ in range(5):
        scene.reloads.refresh(0)
    scene.reloads.refused(2, ["x"], 0)
    assert scene.host.refreshes == [2, 3]
    scene.reloads.refused(3, ["x"], 0)
    assert scene.host.refreshes == [2, 3], "a failure alone is no reason to try again"


def test_a_reload_that_waits_brings_the_endpoints_too() -> None:
    scene = Scene()
    scene.reloads.refresh(0)
    scene.request()
    scene.reloads.refresh(0)
    scene.reloads.refused(2, ["x"], 0)
    assert (scene.host.loads, scene.host.refreshes) == ([3], [2])
    scene.reloads.refused(3, ["broken"], 0)
    assert scene.answers == [Outcome(False, 1, ("broken",))]
    assert (scene.host.loads, scene.host.refreshes) == ([3], [2])


def test_endpoints_that_change_during_a_reload_come_after_it() -> None:
    scene = Scene()
    scene.request()
    scene.reloads.refresh(0)
    scene.reloads.loaded(publication(2), 0)
    scene.reloads.installed(0, 2, 0)
    scene.reloads.installed(1, 2, 0)
    assert scene.host.refreshes == [3]
    assert len(scene.answers) == 1


def test_a_refresh_waits_for_a_control_process_that_is_starting() -> None:
    scene = Scene()
    scene.host.control_is_ready = False
    scene.reloads.refresh(0)
    scene.host.control_is_ready = True
    scene.reloads.control_ready()
    assert scene.host.refreshes == [2]
