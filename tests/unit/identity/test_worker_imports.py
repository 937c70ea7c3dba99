import subprocess
import sys

HEAVY = ("sqlalchemy", "starlette", "uvicorn", "argon2", "httpx", "pyotp", "asyncpg", "redis")


def test_a_worker_imports_nothing_that_only_control_needs() -> None:
    code = (
        f"import sys, gateway.worker\nprint([name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
