"""The control process: status port, admin API, publication of the Plan."""
