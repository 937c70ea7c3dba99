"""db, users, keys, clients, signing-keys, admin-tokens: on a store in the directory."""

import json
import socket
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.identity.keys import parse_key
from tests.unit.cli.conftest import Run

PASSWORD = "correct-Horse7!"


def with_input(text: str, *arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, input=text, catch_exceptions=False)


@pytest.fixture
def ann(gateway: Run) -> Run:
    made = with_input(
        f"{PASSWORD}\n", "users", "create", "Ann@Example.org", "--scopes", "read, write",
        "--password-stdin",
    )  # fmt: skip
    assert made.exit_code == 0, made.output
    return gateway


def test_the_tables_are_made_and_their_revision_shown(gateway: Run) -> None:
    before = gateway("db", "current")
    assert (before.exit_code, before.stdout) == (
        1, "sqlite:///gateway.db: revision none, this gateway needs 0004\n",
    )  # fmt: skip
    assert not Path("gateway.db").exists()
    assert gateway("db", "upgrade").stdout == "up to date: revision 0004\n"
    after = gateway("db", "current")
    assert (after.exit_code, after.stdout) == (
        0, "sqlite:///gateway.db: revision 0004, up to date\n",
    )  # fmt: skip


@pytest.mark.parametrize("verb", [("db", "current"), ("db", "upgrade"), ("users", "list")])
def test_a_store_that_cannot_be_opened_is_one_line(gateway: Run, verb: tuple[str, ...]) -> None:
    Path("gateway.db").mkdir()
    done = gateway(*verb)
    assert done.exit_code == 1
    assert done.stderr == (
        "gateway: the store sqlite:///gateway.db cannot be used: unable to open database file\n"
    )


@pytest.mark.parametrize("verb", [("db", "current"), ("db", "upgrade"), ("users", "list")])
def test_a_database_that_does_not_answer_is_named(gateway: Run, verb: tuple[str, ...]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    url = f"postgresql://me:secret@127.0.0.1:{port}/gateway"
    done = gateway(*verb, "--set", f"store.url={url}")
    assert done.exit_code == 1
    named = url.replace("secret", "***")
    assert done.stderr.startswith(f"gateway: the store {named} cannot be used: Connect call failed")


def test_a_directory_that_is_missing_is_named(gateway: Run) -> None:
    done = gateway("db", "upgrade", "--set", "store.url=sqlite:///data/gateway.db")
    assert done.exit_code == 1
    assert done.stderr.endswith(
        f"the directory {Path('data').absolute()} does not exist; make it, or change store.url\n"
    )


@pytest.mark.parametrize(
    "verb",
    [
        ("users", "list"),
        ("users", "disable", "ann@example.org"),
        ("keys", "list"),
        ("keys", "create", "--owner", "ann@example.org"),
        ("clients", "list"),
        ("registry", "list"),
        ("signing-keys", "list"),
        ("admin-tokens", "list"),
    ],
)
def test_where_there_is_no_store_none_is_made(gateway: Run, verb: tuple[str, ...]) -> None:
    done = gateway(*verb)
    assert done.exit_code == 1
    assert done.stderr == (
        f"gateway: there is no store: {Path('gateway.db').absolute()} does not exist. "
        "`gateway run` makes it, or `gateway db upgrade`; "
        "if it is elsewhere, name it: -c FILE or --set store.url=URL\n"
    )
    assert not Path("gateway.db").exists()


def test_users(ann: Run) -> None:
    listed = json.loads(ann("users", "list", "--json").stdout)
    assert [(row["email"], row["scopes"], row["disabled"]) for row in listed] == [
        ("ann@example.org", ["read", "write"], False)
    ]
    assert "password" not in str(listed)
    assert ann("users", "disable", "ann@example.org").stdout == "ann@example.org: disabled\n"
    table = ann("users", "list").stdout.splitlines()
    assert table[0].split() == ["email", "scopes", "disabled", "mfa", "created_at"]
    assert table[1].split()[:4] == ["ann@example.org", "read,write", "yes", "no"]
    assert ann("users", "enable", "ann@example.org").stdout == "ann@example.org: enabled\n"
    scopes = ann("users", "scopes", "ann@example.org", "read,admin:*")
    assert scopes.stdout == "ann@example.org: admin:*,read\n"
    assert ann("users", "scopes", "ann@example.org", "").stdout == "ann@example.org: -\n"
    gone = ann("users", "disable", "bob@example.org")
    assert (gone.exit_code, gone.stderr) == (1, "gateway: there is no user bob@example.org\n")


@pytest.mark.parametrize(
    ("email", "password", "code", "complaint"),
    [
        ("Ann@example.org", PASSWORD, 1, "gateway: there is a user Ann@example.org already\n"),
        ("nobody", PASSWORD, 2, "'nobody' is not an email address"),
        ("bob@example.org", "short", 1, "the password must have at least 8 characters"),
    ],
)
def test_users_that_are_not_added(
    ann: Run, email: str, password: str, code: int, complaint: str
) -> None:
    done = with_input(f"{password}\n", "users", "create", email, "--password-stdin")
    assert done.exit_code == code
    assert complaint in done.stderr
    assert password not in done.output


def test_the_password_is_asked_for_twice(gateway: Run) -> None:
    done = with_input(f"{PASSWORD}\n{PASSWORD}\n", "users", "create", "ann@example.org", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)[0]["email"] == "ann@example.org"
    with sqlite3.connect("gateway.db") as database:
        (stored,) = database.execute("SELECT password_hash FROM users").fetchone()
    database.close()
    assert stored.startswith("$argon2id$")


def test_keys(ann: Run) -> None:
    made = ann("keys", "create", "--owner", "ann@example.org", "--scopes", "read", "--name", "ci",
               "--expires", "90d")  # fmt: skip
    assert made.exit_code == 0, made.output
    parsed = parse_key(made.stdout.strip())
    assert parsed is not None
    assert "cannot be shown again" in made.stderr
    rotated = json.loads(ann("keys", "rotate", parsed[0], "--json").stdout)
    assert (rotated["id"], rotated["version"]) == (parsed[0], 2)
    assert parse_key(rotated["key"]) is not None
    assert ann("keys", "revoke", parsed[0]).stdout == f"{parsed[0]}: revoked\n"
    (row,) = json.loads(ann("keys", "list", "--json").stdout)
    assert (row["owner_email"], row["name"], row["scopes"]) == ("ann@example.org", "ci", ["read"])
    assert row["revoked_at"] is not None
    assert row["expires_at"] is not None
    assert parsed[0] in ann("keys", "list").stdout


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("create", "--owner", "bob@example.org"), 1),
        (("rotate", "nokey"), 1),
        (("revoke", "nokey"), 1),
        (("create",), 2),
        (("create", "--owner", "ann@example.org", "--expires", "soon"), 2),
    ],
)
def test_keys_that_cannot_be(ann: Run, arguments: tuple[str, ...], code: int) -> None:
    assert ann("keys", *arguments).exit_code == code


def test_clients(gateway: Run) -> None:
    made = gateway("clients", "create", "shop", "--scopes", "read")
    assert made.stdout.startswith("gwc_")
    assert made.stderr.startswith("shop: ")
    again = gateway("clients", "create", "shop")
    assert (again.exit_code, again.stderr) == (1, "gateway: there is a client shop already\n")
    other = json.loads(gateway("clients", "create", "other", "--json").stdout)
    assert other["secret"].startswith("gwc_")
    unknown = gateway("clients", "create", "third", "--rate-limit-policy", "gold")
    assert unknown.exit_code == 1
    assert "no stored rate limit policy 'gold': a client is bound to a policy of the store" in (
        unknown.stderr
    )
    assert gateway("clients", "disable", "shop").stdout == "shop: disabled\n"
    rows = json.loads(gateway("clients", "list", "--json").stdout)
    assert [(row["name"], row["active"]) for row in rows] == [("other", True), ("shop", False)]
    assert gateway("clients", "disable", "none").exit_code == 1
    assert gateway("clients", "enable", "shop").stdout == "shop: enabled\n"
    assert gateway("clients", "scopes", "shop", "a,b").stdout == "shop: a,b\n"
    assert gateway("clients", "scopes", "none", "a").exit_code == 1


def test_a_key_of_a_client(ann: Run) -> None:
    ann("clients", "create", "shop")
    made = ann("keys", "create", "--owner", "ann@example.org", "--client", "shop", "--json")
    assert json.loads(made.stdout)["client_name"] == "shop"
    none = ann("keys", "create", "--owner", "ann@example.org", "--client", "none")
    assert (none.exit_code, none.stderr) == (1, "gateway: there is no client none\n")


def test_signing_keys(gateway: Run) -> None:
    for algorithm in ("ES256", "EdDSA"):
        done = gateway("signing-keys", "rotate", "--set", f"auth.signing.algorithm={algorithm}")
        assert done.exit_code == 0, done.output
        assert algorithm in done.stdout
    rows = json.loads(gateway("signing-keys", "list", "--json").stdout)
    retired = {row["algorithm"]: row["retire_at"] is not None for row in rows}
    assert retired == {"ES256": True, "EdDSA": False}
    assert "PRIVATE" not in str(rows)
    kid = rows[-1]["kid"]
    assert gateway("signing-keys", "retire", kid).stdout == f"{kid}: retired\n"
    assert gateway("signing-keys", "retire", kid).exit_code == 1
    assert kid not in gateway("signing-keys", "list").stdout


def test_admin_tokens(gateway: Run) -> None:
    made = gateway("admin-tokens", "create", "deploy", "--role", "operator", "--expires", "30d")
    assert made.stdout.startswith("gwa_")
    token_id = made.stdout.split("_")[1]
    (row,) = json.loads(gateway("admin-tokens", "list", "--json").stdout)
    assert (row["id"], row["name"], row["role"]) == (token_id, "deploy", "operator")
    assert gateway("admin-tokens", "revoke", token_id).exit_code == 0
    assert gateway("admin-tokens", "revoke", token_id).exit_code == 1


def test_a_registrar_s_token_is_of_a_service(gateway: Run) -> None:
    create = ("admin-tokens", "create", "web", "--role", "registrar")
    assert "needs the service" in gateway(*create).stderr
    assert "is not a name" in gateway(*create, "--service", "a b").stderr
    assert gateway(*create, "--service", "web").stdout.startswith("gwa_")
    (row,) = json.loads(gateway("admin-tokens", "list", "--json").stdout)
    assert (row["role"], row["service"]) == ("registrar", "web")


def test_the_audit_log_tells_who_did_it(ann: Run) -> None:
    ann("users", "disable", "ann@example.org")
    with sqlite3.connect("gateway.db") as database:
        rows = database.execute("SELECT actor, action, subject, after FROM audit_log").fetchall()
    database.close()
    assert [row[1:3] for row in rows] == [
        ("user.create", "ann@example.org"),
        ("user.change", "ann@example.org"),
    ]
    assert all(row[0].startswith("user ") for row in rows)
    assert "argon2" not in str(rows)


def test_registry(gateway: Run) -> None:
    made = gateway(
        "registry", "register", "web", "http://10.0.0.1:80", "--zone", "a", "--ttl", "1m"
    )
    assert made.exit_code == 0, made.output
    number = made.stdout.strip()
    gateway("registry", "register", "other", "http://10.0.0.2:80")
    [row] = json.loads(gateway("registry", "list", "--service", "web", "--json").stdout)
    assert (row["url"], row["zone"], row["ttl_s"], row["weight"]) == (
        "http://10.0.0.1:80", "a", 60, 1,
    )  # fmt: skip
    listed = gateway("registry", "list").stdout.splitlines()
    assert len(listed) == 3
    assert listed[0].split()[5] == "state"
    assert listed[1].split()[5] == "active"
    gone = gateway("registry", "deregister", number)
    assert gone.stdout == "web http://10.0.0.1:80: removed\n"
    again = gateway("registry", "deregister", number)
    assert (again.exit_code, again.stderr) == (1, f"gateway: there is no instance {number}\n")
    bad = gateway("registry", "register", "web", "10.0.0.1")
    assert bad.exit_code == 2
    assert "must be http://HOST:PORT" in bad.stderr
    short = gateway("registry", "register", "web", "http://a:1", "--ttl", "1s")
    assert "a time to live is 2 s to 604800 s, not 1 s" in short.stderr
