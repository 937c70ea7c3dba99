"""What a worker that has too much to do lets in (cext/overload.pyx)."""

class Overload:
    """A bound on requests under way, and a controller of the event loop's lag."""

    admitted: float
    """Share of normal requests that is let in, and 1 + that of sheddable ones."""

    def __init__(self, spec: dict[str, float], workers: int) -> None:
        """`spec`: in_flight of all workers and loop_lag in seconds; 0 = any."""

    def tick(self, lag_us: int) -> None:
        """Ten times a second: how late the loop was."""

    def admits(self, sheddable: bool, in_flight: int, random: int) -> bool:
        """`in_flight`: requests of this worker, this one included. `random`: 64 bits."""
