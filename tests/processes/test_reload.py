"""Reload: every worker or none."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import orjson

from tests.processes.instance import Instance, eventually, fetch_json
from tests.processes.standin import REJECT


def test_a_reload_reaches_every_worker_before_it_is_answered(instance: Instance) -> None:
    result = instance.ask("reload")
    assert result["ok"]
    assert result["generation"] == 2
    assert [worker["generation"] for worker in instance.status()["workers"]] == [2, 2]
    assert {fetch_json(instance.address("http"), "/")["generation"] for _ in range(8)} == {2}


def test_the_verb_says_which_generation_is_in_force(instance: Instance) -> None:
    done = instance.verb("reload")
    assert (done.returncode, done.stdout) == (0, "generation 2 is in force\n")


def test_hup_reloads(instance: Instance) -> None:
    instance.signal(signal.SIGHUP)
    eventually(lambda: instance.status()["generation"] == 2, "generation 2")


def test_a_broken_file_changes_nothing_and_every_problem_is_listed(instance: Instance) -> None:
    instance.write_config("nonsense: 1\nroute: []\n")
    done = instance.verb("reload")
    assert done.returncode == 1
    assert "nonsense" in done.stderr
    assert "route" in done.stderr
    assert f"{instance.config}:" in done.stderr
    assert "stays in force" in done.stderr
    status = instance.status()
    assert status["generation"] == 1
    assert status["last_reload"]["ok"] is False
    assert len(status["last_reload"]["problems"]) == 2
    instance.wait_for_log("reload refused, generation 1 stays in force")
    assert "the last reload was refused" in instance.verb("status").stdout
    assert fetch_json(instance.address("http"), "/")["generation"] == 1


def test_a_mended_file_is_taken_after_a_broken_one(instance: Instance) -> None:
    instance.write_config("nonsense: 1\n")
    assert not instance.ask("reload")["ok"]
    instance.write_config()
    assert instance.ask("reload")["ok"]
    assert instance.status()["last_reload"]["ok"]


def test_settings_that_need_a_restart_are_named_and_the_rest_applies(instance: Instance) -> None:
    instance.settings |= {"workers": 5, "drain_timeout": "3s"}
    instance.write_config()
    done = instance.verb("reload")
    assert done.returncode == 0
    assert "server.workers: changed in the file, needs a restart" in done.stderr
    _, config = instance.admin("GET", "/config")
    assert config["generation"] == 2
    assert config["config"]["server"]["drain_timeout"] == "3s"
    assert config["config"]["server"]["workers"] == 2
    plan = orjson.loads((instance.run_dir / "plan.json").read_bytes())
    assert plan["generation"] == 2
    assert plan["server"]["workers"] == 2


def test_a_plan_that_a_worker_cannot_install_is_taken_back(
    make_instance: Callable[..., Instance], tmp_path: Path
) -> None:
    instance = make_instance()
    flag = tmp_path / "reject"
    instance.environment[REJECT] = str(flag)
    instance.start()
    flag.touch()
    result = instance.ask("reload")
    assert not result["ok"]
    assert "could not install the new plan: no such thing" in result["problems"][0]
    assert instance.status()["generation"] == 1
    assert {fetch_json(instance.address("http"), "/")["generation"] for _ in range(8)} == {1}


def test_a_reload_after_a_worker_died_and_came_back(instance: Instance) -> None:
    instance.ask("reload")
    pid = instance.worker_pids()[0]
    os.kill(pid, signal.SIGKILL)
    eventually(
        lambda: instance.status()["workers"][0]["up"] and instance.worker_pids()[0] != pid,
        "a successor",
    )
    assert instance.status()["workers"][0]["generation"] == 2, "the successor has the last plan"
    assert instance.ask("reload")["generation"] == 3


def test_watch_reloads_when_the_file_changes(make_instance: Callable[..., Instance]) -> None:
    instance = make_instance()
    instance.start("--watch")
    instance.settings["drain_timeout"] = "4s"

    def reloaded() -> bool:
        instance.config.write_text(instance.config.read_text() + "\n")
        return bool(instance.status()["generation"] > 1)

    eventually(reloaded, "a reload after a change of the file")


def test_a_file_beside_it_does_not_reload(make_instance: Callable[..., Instance]) -> None:
    instance = make_instance()
    instance.start("--watch")
    (instance.directory / "other.yaml").write_text("x: 1\n")
    instance.write_config()  # the same content under a new inode
    assert instance.ask("reload")["generation"] == 2, "only the one that was asked for"
