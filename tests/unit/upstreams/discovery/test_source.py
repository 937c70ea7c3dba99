"""The interface: which source a configuration opens, and what that costs others."""

import subprocess
import sys

import pytest

from gateway.config.discovery import Discovery
from gateway.upstreams.discovery.source import http_url, open_source
from tests.conformance.discovery.sites import NoCatalogue


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"consul": {"service": "a"}}, "ConsulSource"),
        ({"kubernetes": {"service": "a"}}, "KubernetesSource"),
        ({"dns": {"name": "a", "port": 80}}, "DnsSource"),
        ({"registry": {"service": "a"}}, "RegistrySource"),
    ],
)
def test_each_section_has_its_source(settings: dict[str, object], name: str) -> None:
    source = open_source(Discovery.model_validate(settings), NoCatalogue())
    assert type(source).__name__ == name


def test_urls() -> None:
    assert http_url("10.0.0.1", 80) == "http://10.0.0.1:80"
    assert http_url("::1", 80) == "http://[::1]:80"


def test_a_gateway_without_discovery_imports_none_of_it() -> None:
    program = (
        "import sys, gateway.control.process, gateway.supervisor.start;"
        "costly = ('httpx', 'aiodns', 'gateway.upstreams.discovery');"
        "print([module for module in sys.modules if module.startswith(costly)])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
