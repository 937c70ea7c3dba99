"""The scenarios, one module each: a module here with a `SCENARIO` is part of the benchmark."""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.macro.bench import Bench
from benchmarks.macro.report import Findings


@dataclass(frozen=True)
class Scenario:
    """`name`: what `--only` selects, the target's number in lower case."""

    name: str
    title: str
    run: Callable[[Bench], Findings]


def discover() -> dict[str, Scenario]:
    """All scenarios by name, in the order of their numbers."""
    modules = [
        importlib.import_module(f"{__name__}.{found.name}")
        for found in pkgutil.iter_modules(__path__)
    ]
    scenarios = [module.SCENARIO for module in modules]
    return {s.name: s for s in sorted(scenarios, key=lambda s: int(s.name[1:]))}
