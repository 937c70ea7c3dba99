"""Shared, short-lived state: in this process, or in Redis for all hosts. See ``interface``."""
