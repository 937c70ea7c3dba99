"""The ``auth`` section: our own tokens and logins, and whose tokens are accepted beside them."""

import ipaddress
import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from annotated_types import Ge, Le
from pydantic import BeforeValidator, Field, PlainValidator, model_validator

from gateway.config.addresses import is_ip_address, parse_host, parse_port
from gateway.config.section import Section
from gateway.config.values import (
    Duration,
    Flag,
    Many,
    OneOrMany,
    OptionalDuration,
    WholeNumber,
    parse_duration,
    parse_name,
    parse_optional_duration,
    parse_text,
    shown,
    text_schema,
)

Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]
"""What a foreign token may be signed with. No HMAC and no ``none``: see RFC 8725."""

MAX_SKEW_S = 300
"""Clocks that differ by more are to be mended, not tolerated."""
_VISIBLE = re.compile(r"[\x21-\x7e]{1,255}")
"""ASCII without spaces."""
RESERVED_PATHS = ("/auth", "/.well-known/jwks.json")
"""Where the login endpoints are; routes of the configuration must not begin like this."""


def parse_issuer(value: object) -> str:
    """An issuer's name: compared character by character, so nothing is changed in it."""
    if not isinstance(value, str) or not _VISIBLE.fullmatch(value):
        raise ValueError(f"must be a URL such as https://idp.example.com, not {shown(value)}")
    return value


def parse_audience(value: object) -> str:
    """A name of those whom tokens are for: any text, a URL or not, compared as it is."""
    if not isinstance(value, str) or not _VISIBLE.fullmatch(value):
        raise ValueError(f"must be a name or URL without spaces, not {shown(value)}")
    return value


def parse_skew(value: object) -> float:
    """A duration of at most `MAX_SKEW_S`, in whole seconds; ``off`` and 0 are none."""
    seconds = parse_optional_duration(value)
    if seconds > MAX_SKEW_S or seconds != int(seconds):
        raise ValueError(f"must be whole seconds, at most {MAX_SKEW_S // 60}m, not {value}")
    return seconds


def parse_lifetime(value: object) -> float:
    """A duration in whole seconds: tokens know nothing smaller."""
    seconds = parse_duration(value)
    if seconds != int(seconds):
        raise ValueError(f"must be whole seconds, not {value}")
    return seconds


def parse_keys_url(value: object) -> str:
    """Where keys are fetched: ``https://``, or ``http://`` to an address that is written out."""
    if not isinstance(value, str) or not re.fullmatch(r"[\x21-\x7e]+", value):
        raise ValueError(f"must be a URL such as https://idp.example.com/jwks, not {shown(value)}")
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.fragment:
        raise ValueError(f"must be a URL such as https://idp.example.com/jwks, not {shown(value)}")
    if "@" in parts.netloc:
        raise ValueError("must not hold a user name or password")
    parse_host(parts.hostname)
    if parts.port is not None:
        parse_port(str(parts.port))
    if parts.scheme == "http" and not _is_private_address(parts.hostname):
        raise ValueError(
            "must be https: whoever can change what is fetched can sign tokens "
            "(http is for loopback and private addresses)"
        )
    return value


def _is_private_address(host: str) -> bool:
    return is_ip_address(host) and ipaddress.ip_address(host).is_private


Lifetime = Annotated[
    float, PlainValidator(parse_lifetime), Duration.__metadata__[1], Duration.__metadata__[2]
]
"""Whole seconds, more than 0."""
Skew = Annotated[
    float, PlainValidator(parse_skew), Duration.__metadata__[1], Duration.__metadata__[2]
]
Issuer = Annotated[str, PlainValidator(parse_issuer), text_schema("URL")]
Audience = Annotated[str, PlainValidator(parse_audience), text_schema("text")]
KeysUrl = Annotated[str, PlainValidator(parse_keys_url), text_schema("URL", "https?://.+")]
Name = Annotated[str, BeforeValidator(parse_name), text_schema("text")]
Special = Annotated[str, BeforeValidator(parse_text), Field(max_length=64)]


def _count(least: int, most: int) -> tuple[Ge, Le, BeforeValidator]:
    return Ge(least), Le(most), WholeNumber


class JwtProvider(Section):
    """Another issuer whose tokens are accepted."""

    name: Name
    """How logs and metrics call it."""
    issuer: Issuer
    """The `iss` of its tokens, character for character."""
    jwks_url: KeysUrl | None = None
    """Where its public keys are. Fetched by the gateway alone, never because a token says so."""
    discovery: KeysUrl | None = None
    """Instead: its `…/.well-known/openid-configuration`, which says where the keys are."""
    audience: OneOrMany[Audience]
    """Its tokens must be for one of these (`aud`), character for character."""
    algorithms: OneOrMany[Algorithm] = ("RS256", "ES256")
    """What its tokens may be signed with."""
    allow_private: Flag = False
    """Whether its host name may lead to a private address. One written as an address may."""

    @model_validator(mode="after")
    def _one_source(self) -> "JwtProvider":
        if (self.jwks_url is None) == (self.discovery is None):
            raise ValueError("needs exactly one of jwks_url and discovery")
        if not self.audience:
            raise ValueError("audience is empty; tokens for anybody would be accepted")
        if not self.algorithms:
            raise ValueError("algorithms is empty; no token would be accepted")
        return self


class Signing(Section):
    """The keys that sign our own tokens."""

    algorithm: Literal["RS256", "ES256", "EdDSA"] = "RS256"
    """Of new keys. Another algorithm here brings a new key, with an overlap."""
    rotate_every: OptionalDuration = 90 * 86_400.0
    """The age at which a key is replaced."""
    publish_before: Duration = 600.0
    """How long a new key is published before it signs, so that caches elsewhere know it."""


class PasswordRules(Section):
    """What a new password must look like, and what its hash costs (argon2id)."""

    min_length: Annotated[int, *_count(1, 128)] = 8
    """Characters."""
    max_length: Annotated[int, *_count(8, 1024)] = 128
    """Characters."""
    lower: Flag = True
    """Whether it must have a lower-case letter."""
    upper: Flag = True
    """Whether it must have an upper-case letter."""
    digit: Flag = True
    """Whether it must have a digit."""
    special: Special = "@$!%*?&"
    """Of these characters it must have one; empty text asks for none."""
    memory_kib: Annotated[int, *_count(8, 1 << 20)] = 19 * 1024
    """Memory of one hash. The default is OWASP's minimum."""
    passes: Annotated[int, *_count(1, 64)] = 2
    """How often that memory is worked through."""

    @model_validator(mode="after")
    def _lengths(self) -> "PasswordRules":
        if self.min_length > self.max_length:
            raise ValueError("min_length is greater than max_length; no password would do")
        return self


class Lockout(Section):
    """What wrong logins lead to. Unknown accounts are counted like known ones."""

    attempts: Annotated[int, *_count(1, 10_000)] = 10
    """Tries for one account within `window`; more are refused with 429, right or wrong."""
    address_attempts: Annotated[int, *_count(1, 1_000_000)] = 100
    """Wrong tries from one address within `window`; more are refused with 429."""
    window: Lifetime = 900.0
    """Counted from the first try on."""
    delay_after: Annotated[int, *_count(1, 10_000)] = 3
    """From this try on an answer comes later: 0.25 s, 0.5 s, and so on up to `max_delay`."""
    max_delay: Duration = 2.0
    """The longest delay."""


class Auth(Section):
    """Our own tokens and logins, and whose tokens are accepted beside them."""

    enabled: Flag = True
    """Whether `/auth/…` and `/.well-known/jwks.json` are served."""
    issuer: Issuer = "http://127.0.0.1:8000"
    """The `iss` of our tokens: the URL by which clients know this gateway."""
    audience: Audience = "gateway"
    """The `aud` of our tokens."""
    access_token_ttl: Lifetime = 900.0
    """How long an access token is good."""
    refresh_token_ttl: Lifetime = 7 * 86_400.0
    """How long a refresh token may lie unused."""
    session_ttl: Lifetime = 30 * 86_400.0
    """After this time a user must log in again, however often the token was refreshed."""
    clock_skew: Skew = 30.0
    """By how much the clocks of those who sign may differ from ours; at most 5m."""
    signing: Signing = Signing()
    """The keys that sign our own tokens."""
    jwt_providers: Many[JwtProvider] = ()
    """Other issuers whose tokens are accepted."""
    passwords: PasswordRules = PasswordRules()
    """What a new password must look like, and what its hash costs."""
    lockout: Lockout = Lockout()
    """What wrong logins lead to."""
