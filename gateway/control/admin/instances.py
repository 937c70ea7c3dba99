"""Operations on registered instances: what `discovery: {registry: …}` finds."""

from gateway.administration import instances as acts
from gateway.administration.views import InstanceView
from gateway.control.admin.bodies import InstanceChange, InstanceRegistration, Page
from gateway.control.admin.errors import ApiError
from gateway.control.admin.operation import Call, Operation, Query, page_of
from gateway.control.admin.people import refuse_empty
from gateway.store.instances import Instance, Registration

__all__ = ["instance_operations"]

NULLABLE = frozenset({"zone", "metadata"})


def instance_operations() -> list[Operation]:
    """Their rows of the table."""
    many, one = "/api/v1/instances", "/api/v1/instances/{name}"
    of_service = Query("service", "Only those of the service that registers under this name.")
    return [
        Operation("GET", many, "listInstances", "List registered instances.", "viewer",
                  list_instances, Page[InstanceView], query=[of_service], paged=True,
                  registrars=True),
        Operation("POST", many, "registerInstance",
                  "Register an instance, or renew one: it is known by its service and URL.",
                  "operator", register, InstanceView, InstanceRegistration, registrars=True),
        Operation("GET", one, "getInstance", "Show an instance, by id.", "viewer", get,
                  InstanceView, registrars=True),
        Operation("PATCH", one, "changeInstance", "Change an instance.", "operator", change,
                  InstanceView, InstanceChange, conditional=True, registrars=True),
        Operation("DELETE", one, "deregisterInstance", "Remove an instance.", "operator",
                  deregister, status=204, conditional=True, registrars=True),
        Operation("POST", f"{one}/heartbeat", "sendHeartbeat",
                  "Say that an instance lives; one with `ttl_s` leaves without.", "operator",
                  heartbeat, InstanceView, registrars=True),
    ]  # fmt: skip


async def list_instances(call: Call) -> Page[InstanceView]:
    """In the order of their ids."""
    service, after = call.query("service") or call.desk.service, call.query("after") or "0"
    _refuse_others(call, service)
    begin = int(after) if after.isascii() and after.isdigit() and len(after) < 10 else 0
    found = call.desk.store.instances

    def shown(row: Instance) -> InstanceView:
        return acts.view_of(row, call.desk.now)

    return await page_of(
        call, lambda limit: found.list(service, begin, limit), shown, lambda row: str(row.id)
    )


async def register(call: Call) -> InstanceView:
    """In use within a second, on every host."""
    body: InstanceRegistration = call.body
    _refuse_others(call, body.service)
    return await acts.register_instance(call.desk, Registration(**body.model_dump()))


async def get(call: Call) -> InstanceView:
    """By id."""
    return acts.view_of(await acts.instance_of(call.desk, call.name), call.desk.now)


async def change(call: Call) -> InstanceView:
    """Weight, zone, metadata, active."""
    body: InstanceChange = call.body
    changes = {name: getattr(body, name) for name in body.model_fields_set}
    refuse_empty(changes, NULLABLE)
    return await acts.change_instance(call.desk, call.name, call.expected, **changes)


async def deregister(call: Call) -> None:
    """It gets no further requests."""
    await acts.deregister_instance(call.desk, call.name, call.expected)


async def heartbeat(call: Call) -> InstanceView:
    """NotFound asks for another registration."""
    return await acts.heartbeat(call.desk, call.name)


def _refuse_others(call: Call, service: str | None) -> None:
    own = call.desk.service
    if own not in (None, service):
        raise ApiError("forbidden", f"this token is for instances of {own} only")
