"""What the control process counts of logins, key sets and Redis, for the status port."""

from collections.abc import Mapping

from gateway.telemetry.metrics import Family

__all__ = ["identity_families"]


def identity_families(
    logins: Mapping[tuple[str, str], int],
    fetch_failures: Mapping[str, int],
    redis: tuple[bool, int] | None,
) -> list[Family]:
    """``logins``: operation and result → number. ``redis``: whether it is up, and its failures."""
    families = [
        Family(
            "gateway_login_requests_total",
            "counter",
            "Answers of the login endpoints.",
            [
                ({"operation": operation, "result": result}, count)
                for (operation, result), count in sorted(logins.items())
            ],
        ),
        Family(
            "gateway_jwks_fetch_failures_total",
            "counter",
            "Times that another issuer's keys could not be fetched.",
            [({"issuer": name}, count) for name, count in sorted(fetch_failures.items())],
        ),
    ]
    if redis is not None:
        up, failures = redis
        families += [
            Family("gateway_state_up", "gauge", "Whether Redis can be reached.", [({}, int(up))]),
            Family(
                "gateway_state_failures_total",
                "counter",
                "Questions that Redis did not answer in time.",
                [({}, failures)],
            ),
        ]
    return [family for family in families if family.samples]
