"""The demo's user: made with the command line, logged in as any client would."""

import json
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from gateway.supervisor.errors import StartError

__all__ = ["USER", "log_in"]

USER = "ada@example.org"
COMMAND = (sys.executable, "-c", "from gateway.cli import main; main()")
REQUEST_TIMEOUT_S = 5.0


def log_in(directory: Path, url: str, deadline: float) -> Path:
    """Make the user and log in; returns the file with the access token. StartError if it cannot.

    ``deadline``: of the monotonic clock. The password is forgotten: it opens nothing but this.
    """
    password = f"{secrets.token_urlsafe(12)}-aA1!"
    create = [*COMMAND, "users", "create", USER, "--scopes", "read", "--password-stdin"]
    made = subprocess.run(
        [*create, "-c", str(directory / "gateway.yaml")],
        input=password,
        capture_output=True,
        text=True,
    )
    if made.returncode:
        raise StartError(f"the demo's user could not be made: {made.stderr.strip()}")
    token = directory / "token"
    token.touch(0o600)
    token.write_text(_access_token(url, password, deadline))
    return token


def _access_token(url: str, password: str, deadline: float) -> str:
    """The login endpoints come up a moment after the proxy: asked until they answer."""
    body = json.dumps({"email": USER, "password": password}).encode()
    request = urllib.request.Request(
        f"{url}/auth/login", body, {"Content-Type": "application/json"}, method="POST"
    )
    while True:
        try:
            with urllib.request.urlopen(request, timeout=REQUEST_TIMEOUT_S) as answer:
                return str(json.load(answer)["accessToken"])
        except (OSError, urllib.error.HTTPError) as error:
            if time.monotonic() > deadline:
                raise StartError(f"the demo's user could not log in: {error}") from error
        time.sleep(0.05)
