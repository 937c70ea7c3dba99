"""Values of options that the configuration would refuse are refused before anything starts."""

import pytest

from tests.unit.cli.conftest import Run


@pytest.mark.parametrize("verb", [("run",), ("demo", "--with-gateway")])
@pytest.mark.parametrize(
    ("option", "value", "complaint"),
    [
        ("--http", "nonsense", "must be HOST:PORT such as 127.0.0.1:8000 or [::]:8000"),
        ("--status", "127.0.0.1:70000", "'70000' is not a port (0 to 65535)"),
        ("--workers", "many", "must be auto or a number of processes, not 'many'"),
    ],
)
def test_a_wrong_value(
    gateway: Run, verb: tuple[str, ...], option: str, value: str, complaint: str
) -> None:
    done = gateway(*verb, option, value)
    assert done.exit_code == 2
    assert f"Invalid value for '{option}': {complaint}" in " ".join(done.stderr.split())


@pytest.mark.parametrize("scopes", ["read write", "read,a b", 'say"', "x" * 129])
@pytest.mark.parametrize(
    "arguments",
    [
        ("users", "create", "ann@example.org", "--scopes"),
        ("users", "scopes", "ann@example.org"),
        ("clients", "create", "shop", "--scopes"),
        ("clients", "scopes", "shop"),
        ("keys", "create", "--owner", "ann@example.org", "--scopes"),
    ],
)
def test_what_is_no_scope(gateway: Run, arguments: tuple[str, ...], scopes: str) -> None:
    done = gateway(*arguments, scopes)
    assert done.exit_code == 2
    assert "must be a scope such as content:read, not" in " ".join(done.stderr.split())
