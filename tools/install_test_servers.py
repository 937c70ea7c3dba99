"""Installs the programs that the tests start, from Debian's packages; says which, if not root."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

PROGRAMS = {
    "curl": "curl",
    "strace": "strace",
    "redis-server": "redis-server",
    "postgres": "postgresql",
    "dnsmasq": "dnsmasq-base",
    "openssl": "openssl",
}
"""Program looked for -> Debian package that has it."""


def is_missing(program: str) -> bool:
    """Whether it is neither in PATH nor where Debian keeps servers and PostgreSQL's programs."""
    kept_apart = [
        Path("/usr/sbin") / program,
        *Path("/usr/lib/postgresql").glob(f"*/bin/{program}"),
    ]
    return shutil.which(program) is None and not any(path.exists() for path in kept_apart)


def main() -> int:
    """Install what is missing. Returns 0 when nothing is missing any more."""
    packages = sorted({package for name, package in PROGRAMS.items() if is_missing(name)})
    if not packages:
        return 0
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        print(f"the tests need programs; install them: sudo apt-get install {' '.join(packages)}")
        return 1
    print(f"installing {' '.join(packages)} ...", flush=True)
    subprocess.run(["apt-get", "update", "-qq"], check=True)
    subprocess.run(
        ["apt-get", "install", "-y", "-qq", *packages], check=True, stdout=subprocess.DEVNULL
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
