"""The gateway with one worker. It adds X-Forwarded-* and X-Correlation-ID."""

import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.macro import request
from benchmarks.macro.peers.peer import Instance, Peer, Place, printed_version
from benchmarks.macro.processes import StartError, free_port

COMMAND = Path(sys.executable).parent / "gateway"
RESOURCES_PER_SERVICE = 10
"""So that the route table branches as the paths of real services do."""


def resource_path(number: int) -> str:
    """``/service-3/resource-4`` for 34."""
    return f"/service-{number // RESOURCES_PER_SERVICE}/resource-{number % RESOURCES_PER_SERVICE}"


@dataclass(frozen=True)
class Gateway(Peer):
    """What this repository is about. `routes`: how many routes it has besides the measured one;
    a load then asks for each of them in turn.
    """

    routes: int = 0
    name = "gateway"

    def absent(self) -> str | None:
        """What is missing, if anything."""
        return None if COMMAND.exists() else f"{COMMAND} is missing (make setup)"

    def version(self) -> str:
        """``gateway version``."""
        return printed_version([str(COMMAND), "version"])

    def paths(self) -> list[str]:
        """One path for each of the many routes, or the measured path."""
        if not self.routes:
            return [request.PATH]
        return [f"{resource_path(number)}/42" for number in range(self.routes)]

    def configuration(self, place: Place, extra_paths: tuple[str, ...] = ()) -> dict[str, Any]:
        """The configuration file's content. `extra_paths`: routes that a reload adds."""
        patterns = ["/identity/{path...}", *extra_paths]
        patterns += [f"{resource_path(number)}/{{id}}" for number in range(self.routes)]
        return {
            "server": {
                "http": f"127.0.0.1:{place.port}",
                "admin": f"127.0.0.1:{free_port()}",
                "status": f"127.0.0.1:{free_port()}",
                "workers": 1,
                "run_dir": str(place.directory / "run"),
                "log": {"access": "off"},
                "limits": {"idle_timeout": "1h"},
            },
            "services": {
                "identity": {"endpoints": [f"http://127.0.0.1:{place.upstream_port}"]},
            },
            "routes": [
                {"path": pattern, "service": "identity", "auth": "none"} for pattern in patterns
            ],
        }

    def configure(self, place: Place) -> list[str]:
        """One JSON file, which the gateway reads as well as YAML."""
        path = configuration_path(place)
        path.write_text(json.dumps(self.configuration(place), indent=1))
        return [str(COMMAND), "run", "-c", str(path)]


class GatewayToken(Gateway):
    """It verifies the request's token and asks for a scope, and tells the service who calls."""

    name = "gateway-token"

    def configuration(self, place: Place, extra_paths: tuple[str, ...] = ()) -> dict[str, Any]:
        """The token's issuer is known, and every route wants a caller with a scope."""
        plain = super().configuration(place, extra_paths)
        provider = {
            "name": "bench",
            "issuer": request.ISSUER,
            "audience": request.AUDIENCE,
            "jwks_url": f"http://127.0.0.1:{place.upstream_port}{request.KEYS_PATH}",
        }
        store = {"url": f"sqlite:///{place.directory}/gateway.db"}
        routes = [route | {"auth": "required", "scopes": ["read"]} for route in plain["routes"]]
        auth = {"jwt_providers": [provider]}
        return plain | {"auth": auth, "store": store, "routes": routes}


class GatewayCredentials(GatewayToken):
    """One instance with three routes to the same place: `/plain`, `/token` and `/key` want nothing,
    a token, and an API key with a scope.
    """

    name = "gateway-credentials"

    def configuration(self, place: Place, extra_paths: tuple[str, ...] = ()) -> dict[str, Any]:
        """The route that the parity check asks for stays without a credential."""
        with_token = super().configuration(place, extra_paths)
        wanted: dict[str, dict[str, Any]] = {
            "plain": {"auth": "none"},
            "token": {"accept": ["jwt"], "scopes": ["read"]},
            "key": {"accept": ["api_key"], "scopes": ["read"]},
        }
        routes = [
            {"path": f"/{name}/{{path...}}", "strip_prefix": f"/{name}", "service": "identity"}
            | more
            for name, more in wanted.items()
        ]
        measured = with_token["routes"][0] | {"auth": "none", "scopes": []}
        return with_token | {"routes": [measured, *routes]}

    def configure(self, place: Place) -> list[str]:
        """With a user and a key of hers in the store."""
        command = super().configure(place)
        owner, config = "ada@example.org", ["-c", str(configuration_path(place))]
        user = ["users", "create", owner, "--scopes", "read", "--password-stdin", *config]
        made(user, "Correct-Horse-7!")
        key = made(["keys", "create", "--owner", owner, "--scopes", "read", *config])
        key_path(place).write_text(key)
        return command


def key_path(place: Place) -> Path:
    """Where the API key of `GatewayCredentials` is."""
    return place.directory / "api_key"


def made(verb: list[str], typed: str = "") -> str:
    """What a verb of the gateway prints. Raises StartError if it fails."""
    done = subprocess.run([str(COMMAND), *verb], input=typed, capture_output=True, text=True)
    if done.returncode:
        raise StartError(f"gateway {' '.join(verb[:2])}: {done.stderr}")
    return done.stdout.strip()


class GatewayFull(GatewayToken):
    """With three limits beside the token: by user, by address, and for everybody."""

    name = "gateway-full"

    def configuration(self, place: Place, extra_paths: tuple[str, ...] = ()) -> dict[str, Any]:
        """The limits are never reached: a refusal would cost less than an answer."""
        with_token = super().configuration(place, extra_paths)
        limits = {
            "per_user": {"algorithm": "token_bucket", "key": "user", "rate": "1000000/s"},
            "per_ip": {"algorithm": "sliding_window", "key": "ip", "rate": "200000/s"},
            "everybody": {"algorithm": "token_bucket", "key": "global", "rate": "1000000/s"},
        }
        routes = [route | {"rate_limits": list(limits)} for route in with_token["routes"]]
        return with_token | {"rate_limits": limits, "routes": routes}


@dataclass(frozen=True)
class GatewayLimited(Gateway):
    """One limit for everybody that is never reached. Of `exact` and `leased`, Redis decides."""

    mode: str = "memory"
    redis_url: str = "memory://"

    @property
    def name(self) -> str:  # type: ignore[override]
        """The peer's name."""
        return f"gateway-{self.mode}"

    def configuration(self, place: Place, extra_paths: tuple[str, ...] = ()) -> dict[str, Any]:
        """The lease is the largest that is taken by default: a twentieth of the burst."""
        plain = super().configuration(place, extra_paths)
        limit = {"key": "global", "rate": "1000000/s", "mode": self.mode}
        routes = [route | {"rate_limits": ["everybody"]} for route in plain["routes"]]
        state = {"url": self.redis_url}
        return plain | {"state": state, "rate_limits": {"everybody": limit}, "routes": routes}


def configuration_path(place: Place) -> Path:
    """The file that a reload reads again."""
    return place.directory / "gateway.json"


def reload(instance: Instance, extra_paths: tuple[str, ...]) -> None:
    """Replaces the routes and tells the supervisor to read the file again (SIGHUP)."""
    if not isinstance(instance.peer, Gateway) or instance.process is None:
        raise TypeError(f"{instance.name} is not a running gateway")
    path = configuration_path(instance.place)
    configuration = json.loads(path.read_text())
    fresh = instance.peer.configuration(instance.place, extra_paths)
    configuration["routes"] = fresh["routes"]
    path.with_suffix(".new").write_text(json.dumps(configuration, indent=1))
    path.with_suffix(".new").replace(path)
    instance.process.popen.send_signal(signal.SIGHUP)
