"""Limits that all hosts share: what Redis decides, and what happens while it is away."""
