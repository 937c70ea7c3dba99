"""Loads the compiled data plane: the one place that knows where Cython's modules live.

They are linked into the same shared object as the Rust structures (``gateway/_core.*.so``), and the
import system does not look for ``gateway.cext.X`` inside another module's file. A finder for this
package tells it where to look. There is no pure-Python fallback: a missing extension is an error.
"""

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Sequence
from importlib import metadata
from types import ModuleType

try:
    from gateway import _core
except ImportError as error:
    raise ImportError(
        "gateway: the compiled extension gateway/_core is missing or was built for another Python "
        f"({sys.version.split()[0]} on {sys.platform}): {error}. "
        "Install a wheel for this Python, or run `make setup` in a source checkout."
    ) from error


class _LinkedModuleFinder(importlib.abc.MetaPathFinder):
    """Finds ``gateway.cext.X`` inside the shared object of ``gateway._core``."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        package, _, name = fullname.rpartition(".")
        if package != __name__ or name not in _core.CYTHON_MODULES:
            return None
        origin = _core.__file__
        loader = importlib.machinery.ExtensionFileLoader(fullname, origin)
        return importlib.machinery.ModuleSpec(fullname, loader, origin=origin)


def _check_version() -> None:
    installed = metadata.version("gateway")
    if _core.__version__ != installed:
        raise ImportError(
            f"gateway: the compiled extension is version {_core.__version__}, the Python package "
            f"is {installed}. Reinstall: `pip install --force-reinstall gateway`, or `make setup` "
            "in a source checkout."
        )


_check_version()
sys.meta_path.append(_LinkedModuleFinder())
