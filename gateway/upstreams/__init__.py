"""Where requests go: what the control process finds out about services and their endpoints."""
