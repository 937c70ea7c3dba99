"""What the wire tests talk through: a gateway under test, upstreams, clients, a bad network."""
