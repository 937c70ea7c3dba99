from pathlib import Path

from gateway.config import load
from gateway.config.explain import Query, explain
from gateway.config.table import verify

TEXT = """\
server: {{ run_dir: /run/g }}
{auth}
services: {{ web: {{ endpoints: [ http://127.0.0.1:9 ] }} }}
routes:
  - {{ path: "/{{path...}}", service: web, priority: 1000000 }}
  - {{ path: "/{{path...}}", host: "*.example.org", service: web }}
"""


def service_of(tmp_path: Path, method: str, path: str, auth: str = "") -> str | None:
    file = tmp_path / "gateway.yaml"
    file.write_text(TEXT.format(auth=auth))
    plan = verify(load(file, {}, {}))
    found = explain(plan, Query(method, "a.example.org", path, "", ()))
    return None if found.service is None else found.service.name


def test_no_configured_route_takes_their_place(tmp_path: Path) -> None:
    for path in ("/auth/login", "/auth/x/y", "/.well-known/jwks.json"):
        assert service_of(tmp_path, "GET", path) == "gateway:identity"
    assert service_of(tmp_path, "POST", "/auth/login") == "gateway:identity"
    for path in ("/authors", "/x/auth/login", "/.well-known/other"):
        assert service_of(tmp_path, "GET", path) == "web"


def test_they_can_be_switched_off(tmp_path: Path) -> None:
    assert service_of(tmp_path, "POST", "/auth/login", "auth: { enabled: false }") == "web"
