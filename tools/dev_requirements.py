"""Prints the development requirements of pyproject.toml, for a pip that has no `--group` yet."""

import tomllib
from pathlib import Path

PROJECT = Path(__file__).parent.parent / "pyproject.toml"

if __name__ == "__main__":
    print("\n".join(tomllib.loads(PROJECT.read_text())["dependency-groups"]["dev"]))
