"""Log files while an instance runs."""

import json
import signal
from collections.abc import Callable

from tests.processes.instance import Instance, eventually, fetch


def test_the_access_log_is_reopened_on_usr1(make_instance: Callable[..., Instance]) -> None:
    instance = make_instance()
    file = instance.directory / "access.log"
    instance.settings["access_log"] = str(file)
    instance.write_config()
    instance.start()
    fetch(instance.address("http"), "/before")
    eventually(lambda: "/before" in file.read_text(), "the first line")
    rotated = file.rename(instance.directory / "access.log.1")
    instance.signal(signal.SIGUSR1)
    eventually(file.exists, "a new file")

    def lands() -> bool:
        fetch(instance.address("http"), "/after")
        return "/after" in file.read_text()

    eventually(lands, "a line in the new file")
    assert "/before" in rotated.read_text()


def test_the_log_is_json_with_process_and_time(instance: Instance) -> None:
    lines = [json.loads(line) for line in instance.log().splitlines()]
    assert lines[0]["message"] == "gateway starts"
    assert lines[0]["process"] == "supervisor"
    assert lines[0]["time"].endswith("Z")
    assert lines[0]["pid"] == instance.pid
