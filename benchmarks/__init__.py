"""How fast the gateway is, and against whom."""
