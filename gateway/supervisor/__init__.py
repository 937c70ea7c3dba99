"""The supervisor: binds the sockets, makes the shared segment, forks, restarts, reloads, drains.

It is one thread on ``selectors``, without asyncio, because it forks: a child must not inherit a
running event loop, nor locks that a thread held at that moment.
"""
