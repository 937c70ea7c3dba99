"""The table of verbs: one row each. A verb's module is imported only when that verb runs."""

from importlib import import_module
from typing import NamedTuple

import click


class Verb(NamedTuple):
    """One row: where the command lives, and the line that ``gateway --help`` shows for it."""

    target: str
    """``module:attribute`` of a click command (or group)."""
    summary: str
    """One short line. It stands here, not in the module, so that help imports nothing."""

    def load(self) -> click.Command:
        """Import the verb's module and return its command."""
        module, _, attribute = self.target.partition(":")
        command = getattr(import_module(module), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{self.target} is {command!r}, not a click command")
        return command


SECTIONS: dict[str, dict[str, Verb]] = {
    "Running": {
        "run": Verb("gateway.cli.run:run", "Run the gateway in the foreground."),
        "reload": Verb("gateway.cli.instance:reload", "Apply the changed configuration file."),
        "drain": Verb("gateway.cli.instance:drain", "Finish what runs, then exit; show progress."),
        "stop": Verb("gateway.cli.instance:stop", "Stop the gateway and wait until it is gone."),
        "status": Verb("gateway.cli.instance:status", "Show processes and addresses."),
        "health": Verb("gateway.cli.instance:health", "Exit with 0 if requests are served."),
    },
    "Configuration": {
        "check": Verb("gateway.cli.check:check", "Check a configuration file; list every error."),
        "explain": Verb("gateway.cli.explain:explain", "Show which route a request would take."),
        "config": Verb("gateway.cli.config:config", "Show, compare and describe configuration."),
    },
    "Store": {
        "db": Verb("gateway.cli.db:db", "Make and migrate the tables."),
        "registry": Verb("gateway.cli.registry:registry", "Register instances of services."),
        "users": Verb("gateway.cli.users:users", "Add, list and disable users."),
        "keys": Verb("gateway.cli.keys:keys", "Create, rotate and revoke API keys."),
        "clients": Verb("gateway.cli.clients:clients", "Create, list and disable API clients."),
        "signing-keys": Verb(
            "gateway.cli.signing_keys:signing_keys", "Rotate what tokens are signed with."
        ),
        "admin-tokens": Verb(
            "gateway.cli.admin_tokens:admin_tokens", "Say who may use the admin API."
        ),
    },
    "More": {
        "demo": Verb("gateway.cli.demo:demo", "Run six small demo services."),
        "version": Verb("gateway.cli.version:version", "Print the version."),
    },
}
"""Section of the help page → verb → row, in the order shown."""

VERBS: dict[str, Verb] = {name: verb for rows in SECTIONS.values() for name, verb in rows.items()}
