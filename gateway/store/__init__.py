"""What must survive: users, keys, sessions, and the stored routes, services and policies.

SQLite or PostgreSQL by way of SQLAlchemy Core; `gateway.store.store.Store` is the door. Only the
control process and the command line come here, and they import it when they first need it.
"""
