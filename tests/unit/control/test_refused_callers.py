"""gateway/control/refused_callers.py: who is refused, up to a bound."""

from gateway.control.refused_callers import MAX_CALLERS, RefusedCallers


def test_reports_add_up() -> None:
    refused = RefusedCallers()
    assert refused.families() == []
    refused.count([["p", "user:a", 2], ["q", "user:a", 1]])
    refused.count([["p", "user:a", 3]])
    [family] = refused.families()
    assert family.name == "gateway_rate_limit_exceeded_callers_total"
    assert family.samples == [
        ({"policy": "p", "caller": "user:a"}, 5),
        ({"policy": "q", "caller": "user:a"}, 1),
    ]


def test_later_callers_are_one_series_of_each_policy() -> None:
    refused = RefusedCallers()
    refused.count([["p", f"user:{number}", 1] for number in range(MAX_CALLERS + 5)])
    refused.count([["p", "user:0", 1], ["q", "user:x", 4]])
    [family] = refused.families()
    assert len(family.samples) == MAX_CALLERS + 2
    counts = {(labels["policy"], labels["caller"]): n for labels, n in family.samples}
    assert counts["p", "other"] == 5
    assert counts["q", "other"] == 4
    assert counts["p", "user:0"] == 2
