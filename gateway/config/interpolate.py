"""``${VAR}`` and ``${VAR:-default}`` in the values of a configuration file."""

import re
from collections.abc import Mapping

from gateway.config.document import Node
from gateway.config.problems import Path, Problem, format_path

_REFERENCE = re.compile(r"\$(?P<escape>\$)?\{(?P<body>[^}]*)(?P<close>\})?")
_BODY = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>.*))?", re.DOTALL)


def interpolate(
    node: Node, environ: Mapping[str, str], problems: list[Problem], path: Path = ()
) -> None:
    """Replace the references in all text values below `node`, in place. Keys stay as they are.

    ``$${`` stands for a literal ``${``. A variable that is not set and has no default is a problem.
    """
    if isinstance(node.value, dict):
        for key, child in node.value.items():
            interpolate(child, environ, problems, (*path, key))
    elif isinstance(node.value, list):
        for index, child in enumerate(node.value):
            interpolate(child, environ, problems, (*path, index))
    elif isinstance(node.value, str) and "${" in node.value:
        try:
            node.value = expand(node.value, environ)
        except ValueError as error:
            problems.append(Problem(node.place, format_path(path), str(error)))
            node.broken = True


def expand(text: str, environ: Mapping[str, str]) -> str:
    """The text with its references replaced; ``ValueError`` says which of them cannot be."""
    return _REFERENCE.sub(lambda match: _replacement(match, environ), text)


def _replacement(match: re.Match[str], environ: Mapping[str, str]) -> str:
    if match["escape"]:
        return match[0][1:]
    body = _BODY.fullmatch(match["body"])
    if body is None or match["close"] is None:
        raise ValueError(
            f"{match[0]!r} is not a reference; write ${{NAME}}, ${{NAME:-default}}, "
            "or $${ for a literal ${"
        )
    value, default = environ.get(body["name"]), body["default"]
    if default is not None:
        return value or default  # as in a shell: the default also stands in for an empty value
    if value is None:
        raise ValueError(
            f"the environment variable {body['name']} is not set; "
            f"set it, or give a default: ${{{body['name']}:-…}}"
        )
    return value
