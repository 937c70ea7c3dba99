"""What stands in the way of a start, and what it says."""

import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.processes.instance import GATEWAY, Instance, eventually


def gateway_run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: v for name, v in os.environ.items() if not name.startswith("GATEWAY_")}
    return subprocess.run(
        [*GATEWAY, "run", *arguments],
        capture_output=True, text=True, timeout=15, cwd=cwd, env=environment,
    )  # fmt: skip


def test_a_second_instance_in_the_same_directory_is_refused(
    instance: Instance, tmp_path: Path
) -> None:
    done = gateway_run("-c", str(instance.config), cwd=tmp_path)
    assert done.returncode == 3
    assert f"another gateway (pid {instance.pid}) runs" in done.stderr
    assert "gateway reload" in done.stderr
    assert instance.status()["healthy"], "the first one is unharmed"


def test_a_second_instance_on_the_same_port_is_refused(instance: Instance, tmp_path: Path) -> None:
    host, port = instance.address("http")
    other = f"server.run_dir={tmp_path / 'other'}"
    done = gateway_run(
        "-c", str(instance.config), "--set", other, "--http", f"{host}:{port}", cwd=tmp_path
    )
    assert done.returncode == 3
    assert f"server.http: cannot listen on {host}:{port}" in done.stderr
    assert f"ss -ltnp 'sport = :{port}'" in done.stderr


def test_a_taken_status_port_is_named(instance: Instance, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = gateway_run(
            "-c", str(instance.config), "--set", f"server.run_dir={tmp_path / 'other'}",
            "--status", f"127.0.0.1:{port}", cwd=tmp_path,
        )  # fmt: skip
    assert done.returncode == 3
    assert f"server.status: cannot listen on 127.0.0.1:{port}" in done.stderr


def test_an_access_log_that_cannot_be_written_is_named(
    make_instance: Callable[..., Instance], tmp_path: Path
) -> None:
    instance = make_instance(access_log=tmp_path / "none/access.log")
    done = gateway_run("-c", str(instance.config), cwd=tmp_path)
    assert done.returncode == 3
    assert f"server.log.access: cannot write to {tmp_path}/none/access.log" in done.stderr


def test_without_a_file_it_says_how_to_make_one(tmp_path: Path) -> None:
    done = gateway_run(cwd=tmp_path)
    assert done.returncode == 3
    assert "no configuration file" in done.stderr
    assert "gateway demo" in done.stderr


def test_the_file_in_that_message_is_a_valid_one(tmp_path: Path) -> None:
    from gateway.cli.options import NO_FILE
    from gateway.config import load

    example = NO_FILE.partition("first one:\n")[2].partition("  or see")[0]
    file = tmp_path / "gateway.yaml"
    file.write_text(example)
    assert len(load(file, {}, {}).config.routes) == 1


def test_a_broken_file_is_explained(make_instance: Callable[..., Instance], tmp_path: Path) -> None:
    instance = make_instance()
    instance.write_config("nonsense: 1\n")
    done = gateway_run("-c", str(instance.config), cwd=tmp_path)
    assert done.returncode == 3
    assert "nonsense" in done.stderr


def test_verbs_say_that_nothing_runs(make_instance: Callable[..., Instance]) -> None:
    instance = make_instance()
    for verb in ("reload", "status", "stop", "drain", "health"):
        done = instance.verb(verb)
        assert done.returncode == 1
        assert "no gateway runs" in done.stderr
        assert "gateway run" in done.stderr


def test_the_open_file_limit_is_raised(instance: Instance) -> None:
    limits = Path(f"/proc/{instance.worker_pids()[0]}/limits").read_text()
    soft, hard = next(
        line.split()[3:5] for line in limits.splitlines() if line.startswith("Max open files")
    )
    assert soft == hard


def test_run_dir_is_private(instance: Instance) -> None:
    assert instance.run_dir.stat().st_mode & 0o777 == 0o700
    assert (instance.run_dir / "control.sock").stat().st_mode & 0o777 == 0o600
    assert (instance.run_dir / "gateway.pid").read_text() == f"{instance.pid}\n"


def test_the_first_log_line_names_the_addresses(instance: Instance) -> None:
    host, port = instance.address("http")
    eventually(lambda: f'"http":"{host}:{port}"' in instance.log(), "the address in the log")
