"""Why a gateway could not start."""


class StartError(Exception):
    """``gateway run`` cannot start; the text says what is wrong and what to do (exit code 3)."""
