"""Finds the endpoints of services while the gateway runs. In the control process only.

`source.py` is the interface, and each source is one file behind it; `watch.py` keeps one source
going; `discovery.py` is all of them. Nothing here is imported before a service needs it.
"""
