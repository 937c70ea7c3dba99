"""Builds a Plan from the JSON that the control process publishes."""

import json

import orjson

from gateway import _core
from gateway.cext.overload import CRITICALITY

from libc.stdint cimport uintptr_t

from gateway.cext.authentication cimport CREDENTIAL_API_KEY, CREDENTIAL_JWT
from gateway.cext.clock cimport milliseconds
from gateway.cext.networks cimport Networks
from gateway.cext.overload cimport Overload
from gateway.cext.rate_limit cimport RateLimit, build_limits
from gateway.cext.scopes cimport Scopes
from gateway.cext.stages cimport compile_stages, respond_health

cdef dict CREDENTIAL_KINDS = {"jwt": CREDENTIAL_JWT, "api_key": CREDENTIAL_API_KEY}
cdef enum:
    # Bits of Principal.granted; bit 0 stands for none
    MAX_GRANTS = 64


cdef Verdict refuse(Exchange exchange, Code code) noexcept:
    """What a stage does that lets nobody pass."""
    exchange.refuse(code)
    return REFUSED


cdef class Route:
    def __init__(self, str path, label, service_label):
        self.path = path
        self.label = label
        self.service_label = service_label
        self.log_path = json.dumps(path).encode()
        self.cut = self.put = b""
        self.early_limits = []
        self.limits = []
        self.weight = 1


cdef Route build_route(dict spec, list services, list limits, dict grants, Overload overload):
    cdef Service service = services[spec["service"]]
    cdef Route route = Route(spec["path"], spec["label"], service.label)
    route.service = service
    if spec["split"]:
        route.split = Split(spec, services)
    route.body_limit = spec["body"]
    if spec["strip_prefix"]:
        route.cut = spec["strip_prefix"].rstrip("/").encode()
    elif spec["replace_prefix"]:
        route.cut, route.put = (part.rstrip("/").encode() for part in spec["replace_prefix"])
    set_callers(route, spec, grants)
    if spec["allow"] or spec["deny"]:
        route.allow = Networks(spec["allow"])
        route.deny = Networks(spec["deny"])
    route.weight = spec["rate_limit_weight"]
    route.criticality = CRITICALITY[spec["criticality"]]
    for index in spec["rate_limits"]:
        (route.early_limits if (<RateLimit>limits[index]).early else route.limits).append(limits[index])
    compile_stages(route, overload.is_set())
    return route


cdef void link_fallback(Service service, list services) except *:
    if service.fallback is not None and service.fallback.index is not None:
        service.fallback.service = services[service.fallback.index]


cdef void set_callers(Route route, dict spec, dict grants) except *:
    """Who may use the route. `grants` numbers each demand on scopes that a plan makes."""
    if spec["auth"] == "none":
        return
    route.requires_caller = spec["auth"] == "required"
    route.forwards_token = spec["forward_token"]
    for kind in spec["accept"]:
        route.accept |= <uint32_t>CREDENTIAL_KINDS[kind]
    if spec["scopes"] or spec["any_scopes"]:
        route.scopes = Scopes(spec["scopes"], spec["any_scopes"])
        number = grants.setdefault((route.scopes.every, route.scopes.some), len(grants) + 1)
        route.grant = number if number < MAX_GRANTS else 0


cdef class Plan:
    def __init__(self, content: bytes, make_service, labels: dict, segment):
        """`make_service(spec) -> Service` keeps the pools of endpoints that stay."""
        spec = orjson.loads(content)
        server = spec["server"]
        limits = server["limits"]
        self.generation = spec["generation"]
        self.table = _core.RouteTable(spec["routes"], server["encoded_slashes"])
        self.routes_handle = <const GwRoutes*><uintptr_t>self.table.address
        self.keep_encoded_slash = server["encoded_slashes"] == "keep"
        self.service_specs = spec["services"]
        self.services = [make_service(service) for service in spec["services"]]
        for service in self.services:
            link_fallback(service, self.services)
        policies, self.limits = build_limits(spec["rate_limits"], segment)
        self.limits_handle = <const GwLimits*><uintptr_t>self.limits.address
        grants = {}
        self.overload = Overload(server["overload"], server["workers"])
        self.routes = [
            build_route(route, self.services, policies, grants, self.overload) for route in spec["routes"]
        ]
        for route, given in zip(self.routes, spec["routes"]):
            if given["mirror"]:
                (<Route>route).mirror = Mirror(given["mirror"], self.services, server["workers"])
        self.auth = spec.get("auth")
        self.health = Route("/health", labels["/health"], labels["-"])
        self.health.stages[0] = respond_health
        self.health.stage_count = 1
        self.unrouted = Route("-", labels["-"], labels["-"])
        self.head_limit = limits["head"]
        self.head_ms = milliseconds(limits["head_timeout"])
        self.body_ms = milliseconds(limits["body_timeout"])
        self.idle_ms = milliseconds(limits["idle_timeout"])
        self.workers = server["workers"]
        self.connection_limit = max(1, -(-limits["connections"] // server["workers"]))
        self.trusted = Networks(server["trusted_proxies"])
