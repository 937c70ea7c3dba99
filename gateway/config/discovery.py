"""``services.NAME.discovery``: where a service's endpoints are found while the gateway runs."""

import re
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    PlainValidator,
    SecretStr,
    WithJsonSchema,
    model_validator,
)

from gateway.config.addresses import Address, is_ip_address, parse_address, parse_host
from gateway.config.file_only import file_only
from gateway.config.section import Section
from gateway.config.values import (
    Duration,
    Flag,
    OneOrMany,
    Text,
    parse_directory,
    parse_integer,
    parse_name,
    parse_text,
    shown,
    text_schema,
)

_KUBERNETES_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
"""RFC 1123 label: the names of namespaces and services."""
_PORT_NAME = re.compile(r"(?=.*[a-z])[a-z0-9](?:[-a-z0-9]{0,13}[a-z0-9])?")
"""RFC 6335 section 5.1: at most 15 characters, at least one letter."""


def parse_server_url(value: object) -> str:
    """``http://HOST:PORT`` or ``https://HOST:PORT`` of the server that is asked."""
    expected = "must be a URL such as http://127.0.0.1:8500"
    if not isinstance(value, str) or not re.fullmatch(r"https?://[\x21-\x7e]+", value):
        raise ValueError(f"{expected}, not {shown(value)}")
    try:
        parts = urlsplit(value)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(f"{expected}, not {shown(value)}") from None
    if "@" in parts.netloc:
        raise ValueError("must not hold a user name or password")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(f"must be scheme, host and port alone, not {shown(value)}")
    if not host or port == 0:
        raise ValueError(f"{expected}, not {shown(value)}")
    parse_host(f"[{host}]" if ":" in host else host)
    return value.rstrip("/")


def parse_kubernetes_name(value: object) -> str:
    """The name of a namespace or of a service."""
    if not isinstance(value, str) or not _KUBERNETES_NAME.fullmatch(value):
        raise ValueError(f"must be a Kubernetes name such as identity, not {shown(value)}")
    return value


def parse_kubernetes_port(value: object) -> int | str:
    """The name of a port in the EndpointSlices, or its number."""
    if isinstance(value, str) and _PORT_NAME.fullmatch(value):
        return value
    try:
        return parse_service_port(value)
    except ValueError:
        raise ValueError(f"must be a port's name or number, not {shown(value)}") from None


def parse_service_port(value: object) -> int:
    """1 to 65535."""
    port = parse_integer(value)
    if not 1 <= port <= 65_535:
        raise ValueError(f"must be a port between 1 and 65535, not {port}")
    return port


def parse_dns_name(value: object) -> str:
    """A name to look up: of hosts, or with ``_http._tcp.`` in front."""
    if not isinstance(value, str):
        raise ValueError(f"must be a name such as identity.prod.internal, not {shown(value)}")
    if is_ip_address(value):
        raise ValueError(f"{value} is an address, not a name; write it as an endpoint")
    return parse_host(value)


def parse_resolver(value: object) -> Address:
    """``HOST:PORT`` of a DNS server; an address, since there is nobody yet to resolve a name."""
    address = parse_address(value)
    if not is_ip_address(address.host) or address.port == 0:
        raise ValueError(f"must be the address of a DNS server such as 10.0.0.2:53, not {address}")
    return address


ServerUrl = Annotated[str, PlainValidator(parse_server_url), text_schema("URL", r"https?://.+")]
File = Annotated[
    str,
    PlainValidator(parse_directory),
    file_only("the name of a file"),
    text_schema("path", "/.*"),
]
KubernetesName = Annotated[str, PlainValidator(parse_kubernetes_name), text_schema("name")]
KubernetesPort = Annotated[
    int | str,
    PlainValidator(parse_kubernetes_port),
    WithJsonSchema({"type": ["string", "integer"], "x-type": "name or number"}),
]
Secret = Annotated[
    SecretStr, BeforeValidator(parse_text), file_only("a secret"), text_schema("text")
]
DnsName = Annotated[str, PlainValidator(parse_dns_name), text_schema("name")]
Port = Annotated[
    int,
    PlainValidator(parse_service_port),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 65_535, "x-type": "number"}),
]
Resolver = Annotated[
    Address,
    PlainValidator(parse_resolver),
    PlainSerializer(str),
    text_schema("ADDRESS:PORT", r".+:[0-9]{1,5}"),
]


class Consul(Section):
    """Instances of a service in Consul's catalogue."""

    address: ServerUrl = "http://127.0.0.1:8500"
    """Consul's HTTP API; best the agent on this host."""
    service: Text
    """The service's name in Consul."""
    tags: OneOrMany[Text] = ()
    """Only instances that have all of these tags."""
    datacenter: Text | None = None
    """By default that of the agent."""
    passing_only: Flag = True
    """`false` takes instances in state `warning`, too; those in state `critical` never count."""
    token: Secret | None = None
    """ACL token with `service:read` and `node:read`. Not in the store."""
    token_file: File | None = None
    """A file with the token, read again for each query. Not in the store."""

    @model_validator(mode="after")
    def _one_token(self) -> "Consul":
        if self.token is not None and self.token_file is not None:
            raise ValueError("token and token_file exclude each other; keep one of them")
        return self

    @property
    def title(self) -> str:
        """What people see as the source."""
        return f"consul {self.service} at {self.address}"


class Kubernetes(Section):
    """The ready endpoints of a Kubernetes service, from its EndpointSlices."""

    namespace: KubernetesName = "default"
    """Namespace of the service."""
    service: KubernetesName
    """Name of the service."""
    port: KubernetesPort | None = None
    """Name of the port, or its number on the pods; not needed if there is only one."""
    api_server: ServerUrl | None = None
    """By default that of the cluster in which the gateway runs."""
    token_file: File | None = None
    """Bearer token, read again for each request; by default that of the pod's service account. Not
    in the store."""
    ca_file: File | None = None
    """Certificates that may sign the API server's; by default those of the service account. Not in
    the store."""

    @property
    def title(self) -> str:
        """What people see as the source."""
        return f"kubernetes {self.namespace}/{self.service}"


class Dns(Section):
    """The addresses of a name, asked again when their time to live is over."""

    name: DnsName
    """The whole name; search domains are not applied."""
    type: Literal["A", "AAAA", "SRV"] = "A"
    """`SRV` brings ports, weights and priorities."""
    port: Port | None = None
    """Port of the endpoints, for `A` and `AAAA`."""
    resolver: Resolver | None = None
    """DNS server; by default those of `/etc/resolv.conf`."""
    min_ttl: Duration = 5.0
    """Shortest time between two look-ups, whatever time to live the answer has."""

    @model_validator(mode="after")
    def _port_where_it_belongs(self) -> "Dns":
        if self.type == "SRV" and self.port is not None:
            raise ValueError("SRV records bring their own port; remove port")
        if self.type != "SRV" and self.port is None:
            raise ValueError(f"{self.type} records have no port; add port, or use type SRV")
        return self

    @property
    def title(self) -> str:
        """What people see as the source."""
        return f"dns {self.type} {self.name}"


class Registry(Section):
    """Instances that are registered in the gateway's own store."""

    service: Annotated[str, PlainValidator(parse_name), text_schema("name")]
    """The name that they register under."""

    @property
    def title(self) -> str:
        """What people see as the source."""
        return f"registry {self.service}"


class Discovery(Section):
    """Finds the endpoints of a service while the gateway runs. Exactly one source."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    consul: Consul | None = None
    """Consul's catalogue."""
    kubernetes: Kubernetes | None = None
    """A Kubernetes service."""
    dns: Dns | None = None
    """Addresses or SRV records."""
    registry: Registry | None = None
    """The gateway's own store, where instances register."""

    @model_validator(mode="after")
    def _exactly_one(self) -> "Discovery":
        if sum(source is not None for source in self._sources()) != 1:
            *names, last = type(self).model_fields
            raise ValueError(f"needs exactly one of {', '.join(names)} and {last}")
        return self

    def _sources(self) -> list[Any]:
        return [getattr(self, name) for name in type(self).model_fields]

    @property
    def source(self) -> Consul | Kubernetes | Dns | Registry:
        """The one that is set."""
        found: Consul | Kubernetes | Dns | Registry = next(filter(None, self._sources()))
        return found

    def to_message(self) -> dict[str, Any]:
        """For a channel between processes, with its secrets; ``from_message`` is the way back."""
        data = self.model_dump(mode="json", exclude_none=True)
        if self.consul is not None and self.consul.token is not None:
            data["consul"]["token"] = self.consul.token.get_secret_value()
        return data

    @classmethod
    def from_message(cls, data: dict[str, Any]) -> "Discovery":
        """The discovery that ``to_message`` described."""
        return cls.model_validate(data)
