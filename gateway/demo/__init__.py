"""Six small services to put a gateway in front of. They hold no state and need no network."""
