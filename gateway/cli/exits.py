"""The exit codes of ``gateway``; scripts and service managers rely on them."""

from enum import IntEnum


class Exit(IntEnum):
    """What a verb's exit status means."""

    OK = 0
    FAILED = 1
    """The verb ran and its answer is no: a broken configuration, an unhealthy gateway."""
    USAGE = 2
    """The command line itself is wrong. Click's own code for it."""
    NOT_STARTED = 3
    """``gateway run`` could not start: a bad configuration, a port that is taken."""
