"""``gateway version``."""

import platform
from importlib import metadata

import click


@click.command()
def version() -> None:
    """Print the version of the gateway and of the Python that runs it."""
    click.echo(f"gateway {metadata.version('gateway')} (Python {platform.python_version()})")
