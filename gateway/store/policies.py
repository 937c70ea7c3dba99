"""Stored rate limit policies."""

import re
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from gateway.store.database import Database
from gateway.store.definitions import SectionTable
from gateway.store.tables import rate_limit_policies as table

__all__ = ["Policies"]

_PER_MINUTE = {"s": 60.0, "min": 1.0, "h": 1 / 60, "d": 1 / 1440}
"""What ``1/UNIT`` is in requests per minute."""
_RATE = re.compile(r"([0-9]+(?:\.[0-9]+)?)/(s|min|h|d)")


class Policies(SectionTable):
    """The table ``rate_limit_policies``. A client whose policy is removed has none then."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, table.c.policy_name)

    def columns(self, section: Mapping[str, Any]) -> dict[str, Any]:
        """Rate and burst, as far as the table can say them."""
        rate = _RATE.fullmatch(str(section.get("rate", "")))
        per_minute = round(float(rate[1]) * _PER_MINUTE[rate[2]]) if rate else 0
        burst = section.get("burst")
        return {
            "requests_per_minute": per_minute,
            "burst_capacity": burst if isinstance(burst, int) else per_minute,
            "definition": dict(section),
        }

    def section(self, row: sa.RowMapping) -> dict[str, Any]:
        """The table counts requests in a minute, whatever the window is."""
        return {
            "algorithm": "token_bucket",
            "rate": f"{row['requests_per_minute']}/min",
            "burst": row["burst_capacity"],
        }
