"""`RateLimit` → `PlannedRateLimit`, and which of them hold on a route."""

from collections.abc import Mapping

from gateway.config.compile_service import Labels
from gateway.config.limits import Rate, RateLimit, Tier
from gateway.config.plan import PlannedAllowance, PlannedRateLimit, PlannedTier
from gateway.config.routes import Route


def limits_of(route: Route, limits: Mapping[str, RateLimit]) -> tuple[int, ...]:
    """Indexes of the policies that hold on a route; those that hold everywhere come first."""
    indexes = {name: index for index, name in enumerate(limits)}
    everywhere = [name for name, limit in limits.items() if limit.everywhere]
    return tuple(indexes[name] for name in dict.fromkeys([*everywhere, *route.rate_limits]))


def compile_limit(name: str, limit: RateLimit, labels: Labels) -> PlannedRateLimit:
    """A policy with every default filled in."""
    kind, _, argument = limit.key.partition(":")
    return PlannedRateLimit(
        name=name,
        label=labels.intern(name),
        algorithm=limit.algorithm,
        key=kind,
        argument=argument,
        allowance=_allowance(limit, limit.rate, limit.burst),
        tiers=tuple(_tier(limit, tier) for tier in limit.tiers),
        mode=limit.mode,
        on_failure=limit.on_failure,
        weight=limit.weight,
        weight_header=limit.weight_header,
        ipv6_prefix=limit.ipv6_prefix,
        dry_run=limit.dry_run,
        early=limit.before_authentication,
    )


def _tier(limit: RateLimit, tier: Tier) -> PlannedTier:
    allowance = None if tier.bypass else _allowance(limit, tier.rate, tier.burst)
    if tier.scope is not None:
        return PlannedTier("scope", "", tier.scope, allowance)
    if tier.client is not None:
        return PlannedTier("client", "", tier.client, allowance)
    if tier.policy is not None:
        return PlannedTier("policy", "", tier.policy, allowance)
    return PlannedTier("claim", tier.claim or "", tier.value or "", allowance)


def _allowance(limit: RateLimit, rate: Rate | None, burst: int | None) -> PlannedAllowance:
    if rate is None:  # concurrent
        return PlannedAllowance(limit.limit or 0, 0, limit.limit or 0, 0)
    burst = burst or rate.number
    lease = limit.lease_of(burst) if limit.mode == "leased" else 0
    return PlannedAllowance(rate.number, rate.period_s, burst, lease)
