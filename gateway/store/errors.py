"""What a caller of the store has to expect."""

__all__ = ["Conflict", "NotFound", "SchemaUnknown", "StoreError", "StoreUnavailable", "Superseded"]


class StoreError(Exception):
    """Of all that follow. The text is for people and holds no secret."""


class StoreUnavailable(StoreError):
    """The database cannot be reached, or does not answer in time. Trying later may help."""


class SchemaUnknown(StoreUnavailable):
    """The database was made by a newer version of the gateway, or is not one of its databases."""


class Conflict(StoreError):
    """Something of this name exists, or something still refers to what was to be deleted."""


class NotFound(StoreError):
    """There is nothing of this name."""


class Superseded(StoreError):
    """Somebody else has changed it since the caller looked."""

    def __init__(self, current: int) -> None:
        super().__init__(f"it has been changed meanwhile; its version is now {current}")
        self.current = current
