"""Names of header fields: equality, and what the known ones mean (cext/field_name.pyx)."""

KNOWN: dict[int, tuple[bytes, ...]]
"""What a field means (FieldId) → its names, in lower case."""

def classify(name: bytes, size: int) -> int:
    """The FieldId of a name in any case; `size` is its length."""
