"""Every setting of the library, validated once, and what follows from them."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Literal, TypedDict, get_args
from urllib.parse import urlsplit

from sojourn.errors import ConfigurationError, SecurityWarning, UnsupportedInMode
from sojourn.jose import Algorithm
from sojourn.model import Mode, OnExcess, Transport
from sojourn.modes import DAY, HOUR, MODES

Preset = Literal["aal1", "aal2", "aal3"]
WhenStale = Literal["ask", "refuse", "trust"]
SameSite = Literal["lax", "strict", "none"]

MAX_COOKIE_SECONDS = 400 * DAY
_COOKIE_NAME = re.compile(r"(?!__)[A-Za-z0-9_-]{1,64}")
_HOST = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+")
_URL = re.compile(r"[!-~]+")
_NOT_OF_AN_APPLICATION = frozenset("?#@\\")
_TUPLES = ("modes", "audiences", "trusted_origins", "trusted_proxies")
_OPTIONAL = frozenset(
    ("absolute_ttl_seconds", "idle_ttl_seconds", "access_ttl_seconds", "max_sessions")
)
_CHOICES: dict[str, tuple[str, ...]] = {
    "mode": get_args(Mode),
    "transport": get_args(Transport),
    "on_excess": get_args(OnExcess),
    "when_stale": get_args(WhenStale),
    "same_site": get_args(SameSite),
    "signing_algorithm": get_args(Algorithm),
}


@dataclass(frozen=True, slots=True)
class PresetLifetimes:
    """The longest lives one authenticator assurance level allows (NIST SP 800-63B-4)."""

    absolute_ttl_seconds: int
    idle_ttl_seconds: int | None
    access_ttl_seconds: int


PRESETS: dict[str, PresetLifetimes] = {
    "aal1": PresetLifetimes(30 * DAY, None, 15 * 60),
    "aal2": PresetLifetimes(24 * HOUR, HOUR, 5 * 60),
    "aal3": PresetLifetimes(12 * HOUR, 15 * 60, 60),
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one `AsyncSojourn` or `Sojourn`.

    Args:
        url: Where the application is reached by browsers, as ``https://host[:port]``. Gives the
            issuer, the own origin and whether cookies are Secure, so it is right behind a
            TLS-terminating proxy too. Plain http is development and allowed on loopback only.
        mode: ``session``, ``jwt`` or ``hybrid``: which proof a login hands out.
        modes: The modes a single login may ask for; the configured one alone by default.
        audience: The ``aud`` of access tokens; the url by default.
        audiences: Other audiences a live session may ask an access token for.
        transport: ``cookie`` (browsers) or ``bearer`` (other clients): the default of a login.
        preset: ``aal1``, ``aal2`` or ``aal3``: lives no longer than NIST SP 800-63B-4 allows.
        absolute_ttl_seconds: The longest life of a session or, in ``jwt``, of a token.
        idle_ttl_seconds: How long a stored session lives without being used.
        access_ttl_seconds: The life of an access token in ``hybrid``, 30 s to 1 h; each is
            shortened by a random part of up to 20 %.
        browser_ttl_seconds: The absolute life of a sign-in that is not to be remembered.
        grace_seconds: How long a replaced refresh handle still gets the same successor, 0 to 60.
        max_sessions: How many sessions a subject may have; unlimited by default.
        on_excess: What the next sign-in does then: ``refuse``, or ``end_oldest``.
        cookie_name: The stem of all cookie names; each plain-http port has its own by default.
        cookie_domain: Share the cookies with subdomains (``__Secure-`` instead of ``__Host-``).
        same_site: ``lax``, ``strict`` or ``none`` (for pages on another site).
        trusted_origins: Other origins whose pages may send credentials (CSRF and CORS).
        trusted_proxies: Networks whose ``X-Forwarded-For`` is believed for client addresses.
        max_lag_seconds: How old the picture of revocations may be for a check, 0 to 60.
        when_stale: What a check does beyond that: ``ask`` the store, ``refuse``, or ``trust``.
        signing_algorithm: The algorithm of access tokens; ``HS256`` where nobody else verifies.
        key_ttl_seconds: How long a signing key signs before the next takes over.
        jwks_ttl_seconds: How long verifiers may keep the key set; a key is published so long
            before it signs.
        leeway_seconds: Clock difference tolerated between the servers, 0 to 60.
        guest_ttl_seconds: The idle life of a visitor's data.
        max_guests: How many visitors' data are kept; the oldest goes first.

    Raises:
        ConfigurationError: A value is out of range, or two contradict each other.
        UnsupportedInMode: A setting asks the mode for what it cannot know.
    """

    url: str
    mode: Mode = "hybrid"
    modes: tuple[Mode, ...] = ()
    audience: str = ""
    audiences: tuple[str, ...] = ()
    transport: Transport = "cookie"
    preset: Preset | None = None
    absolute_ttl_seconds: int | None = None
    idle_ttl_seconds: int | None = None
    access_ttl_seconds: int | None = None
    browser_ttl_seconds: int = DAY
    grace_seconds: int = 10
    max_sessions: int | None = None
    on_excess: OnExcess = "end_oldest"
    cookie_name: str = ""
    cookie_domain: str | None = None
    same_site: SameSite = "lax"
    trusted_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    max_lag_seconds: float = 5.0
    when_stale: WhenStale = "ask"
    signing_algorithm: Algorithm = "ES256"
    key_ttl_seconds: int = 30 * DAY
    jwks_ttl_seconds: int = 10 * 60
    leeway_seconds: int = 1
    guest_ttl_seconds: int = 4 * HOUR
    max_guests: int = 100_000
    _origin: str = field(init=False, repr=False, default="")

    def __post_init__(self) -> None:
        """Validate everything once, so that nothing is checked at a request."""
        object.__setattr__(self, "_origin", _own_origin(self.url))
        for name in _TUPLES:
            value = getattr(self, name)
            if isinstance(value, str):  # its letters would be taken for the members
                raise ConfigurationError(f"{name} is a tuple; write {name}=({value!r},)")
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            if value not in choices:
                raise ConfigurationError(f"{name} is {value!r}; choose one of {', '.join(choices)}")
        if not set(self.modes) <= set(MODES):
            raise ConfigurationError(f"modes is {self.modes!r}; choose from {', '.join(MODES)}")
        if self.preset is not None and self.preset not in PRESETS:
            raise ConfigurationError(
                f"preset is {self.preset!r}; choose one of {', '.join(PRESETS)}"
            )
        self._check_ranges()
        self._check_modes()
        self._check_browser()

    def _check_ranges(self) -> None:
        ranges: dict[str, tuple[float, float]] = {
            "absolute_ttl_seconds": (1, MAX_COOKIE_SECONDS),
            "idle_ttl_seconds": (1, MAX_COOKIE_SECONDS),
            "access_ttl_seconds": (30, HOUR),
            "browser_ttl_seconds": (1, MAX_COOKIE_SECONDS),
            "grace_seconds": (0, 60),
            "max_sessions": (1, 100_000),
            "max_lag_seconds": (0, 60),
            "key_ttl_seconds": (60, MAX_COOKIE_SECONDS),
            "jwks_ttl_seconds": (1, DAY),
            "leeway_seconds": (0, 60),
            "guest_ttl_seconds": (60, 30 * DAY),
            "max_guests": (1, 10_000_000),
        }
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if value is None and name in _OPTIONAL:
                continue
            # A fraction would end in Max-Age or exp, where only integers are valid.
            kind = int | float if name == "max_lag_seconds" else int
            if isinstance(value, bool) or not isinstance(value, kind):
                what = "number" if name == "max_lag_seconds" else "whole number"
                raise ConfigurationError(f"{name} is a {what}, not {type(value).__name__}")
            if not low <= value <= high:
                raise ConfigurationError(f"{name} is {value}; it ranges from {low} to {high}")
        if self.jwks_ttl_seconds * 2 > self.key_ttl_seconds:
            raise ConfigurationError(
                "key_ttl_seconds is less than twice jwks_ttl_seconds, so the next key could not "
                "be published before it signs; raise the one or lower the other"
            )

    def _check_modes(self) -> None:
        for mode in self.allowed_modes:
            if MODES[mode].is_stored:
                continue
            asked = [n for n in ("idle_ttl_seconds", "max_sessions") if getattr(self, n)]
            # The standalone server offers all modes and its limits concern those that store.
            if asked and mode == self.mode:
                raise UnsupportedInMode(
                    f"{' and '.join(asked)} cannot be kept in mode {mode!r}, which stores nothing; "
                    "remove the setting, or use mode 'session' or 'hybrid'"
                )
            if self.preset is not None and PRESETS[self.preset].idle_ttl_seconds is not None:
                raise UnsupportedInMode(
                    f"preset {self.preset!r} ends idle sessions, and mode {mode!r} cannot see "
                    "idleness; use mode 'session' or 'hybrid'"
                )

    def _check_browser(self) -> None:
        if self.cookie_name and _COOKIE_NAME.fullmatch(self.cookie_name) is None:
            raise ConfigurationError(
                "cookie_name is 1 to 64 of A-Z a-z 0-9 _ -; the __Host- prefix is added by itself"
            )
        if self.cookie_domain is not None:
            domain = self.cookie_domain.removeprefix(".")
            host = urlsplit(self.url).hostname or ""
            is_parent = "." in domain and host.endswith("." + domain)
            if host != domain and not is_parent:
                raise ConfigurationError(
                    f"cookie_domain {self.cookie_domain!r} is not a parent of {host!r}; "
                    "a browser would drop the cookie"
                )
        if self.same_site == "none":
            if self.is_development:
                raise ConfigurationError(
                    "same_site='none' needs Secure cookies, so an https url; "
                    "use trusted_origins with 'lax' for two ports of localhost"
                )
            warnings.warn(
                "same_site='none' sends cookies with every cross-site request; "
                "only the Origin check is left against CSRF",
                SecurityWarning,
                stacklevel=4,
            )
        if self.when_stale == "trust":
            warnings.warn(
                "when_stale='trust' accepts revoked credentials while the feed is unreachable",
                SecurityWarning,
                stacklevel=4,
            )
        for origin in self.trusted_origins:
            if origin != normal_origin(origin):
                raise ConfigurationError(
                    f"trusted origin {origin!r} is not of the form scheme://host[:port], "
                    "in lower case, without a path"
                )
            is_local = is_loopback(urlsplit(origin).hostname or "")
            if origin.startswith("http://") and not is_local:
                warnings.warn(
                    f"trusted origin {origin} is plain http: whoever is on the way to it can act "
                    "for your users",
                    SecurityWarning,
                    stacklevel=4,
                )
        for network in self.trusted_proxies:
            try:
                ip_network(network)
            except ValueError as error:
                raise ConfigurationError(f"trusted proxy {network!r}: {error}") from error

    @property
    def origin(self) -> str:
        """The application's own origin."""
        return self._origin

    @property
    def issuer(self) -> str:
        """The ``iss`` of access tokens: the url without a trailing slash."""
        return self.url.rstrip("/")

    @cached_property
    def is_development(self) -> bool:
        """Whether this is plain http on loopback, so cookies cannot be Secure."""
        return self._origin.startswith("http://")

    @cached_property
    def allowed_modes(self) -> tuple[Mode, ...]:
        """The modes a login may ask for, the configured one first."""
        return tuple(dict.fromkeys((self.mode, *self.modes)))

    @cached_property
    def origins(self) -> frozenset[str]:
        """All origins whose pages may send credentials."""
        return frozenset((self._origin, *self.trusted_origins))

    @cached_property
    def all_audiences(self) -> frozenset[str]:
        """Every audience an access token may be issued for."""
        return frozenset((self.audience or self.issuer, *self.audiences))

    @cached_property
    def proxy_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The trusted proxies, parsed."""
        return tuple(ip_network(network) for network in self.trusted_proxies)

    @cached_property
    def longest_token_seconds(self) -> int:
        """How long the longest-lived access token of these settings can be accepted."""
        jwt = "jwt" in self.allowed_modes
        longest = self.absolute_seconds("jwt", remember=True) if jwt else self.access_seconds
        return longest + self.leeway_seconds

    @cached_property
    def access_seconds(self) -> int:
        """The life of an access token that a stored session stands behind."""
        seconds = self.access_ttl_seconds or 15 * 60
        if self.preset is not None:
            seconds = min(seconds, PRESETS[self.preset].access_ttl_seconds)
        return seconds

    def absolute_seconds(self, mode: Mode, *, remember: bool) -> int:
        """Give the longest life of a sign-in in a mode."""
        seconds = MODES[mode].absolute_ttl_seconds
        if self.absolute_ttl_seconds is not None:
            seconds = self.absolute_ttl_seconds
        if self.preset is not None:
            seconds = min(seconds, PRESETS[self.preset].absolute_ttl_seconds)
        return seconds if remember else min(seconds, self.browser_ttl_seconds)

    def idle_seconds(self, mode: Mode) -> int | None:
        """Give the idle life of a session; None where idleness cannot be seen."""
        seconds = MODES[mode].idle_ttl_seconds
        if seconds is None:
            return None
        if self.idle_ttl_seconds is not None:
            seconds = self.idle_ttl_seconds
        if self.preset is not None:
            seconds = min(seconds, PRESETS[self.preset].idle_ttl_seconds or seconds)
        return seconds


class Options(TypedDict, total=False):
    """The settings as keyword arguments; `Settings` says what each means."""

    url: str
    mode: Mode
    modes: tuple[Mode, ...]
    audience: str
    audiences: tuple[str, ...]
    transport: Transport
    preset: Preset | None
    absolute_ttl_seconds: int | None
    idle_ttl_seconds: int | None
    access_ttl_seconds: int | None
    browser_ttl_seconds: int
    grace_seconds: int
    max_sessions: int | None
    on_excess: OnExcess
    cookie_name: str
    cookie_domain: str | None
    same_site: SameSite
    trusted_origins: tuple[str, ...]
    trusted_proxies: tuple[str, ...]
    max_lag_seconds: float
    when_stale: WhenStale
    signing_algorithm: Algorithm
    key_ttl_seconds: int
    jwks_ttl_seconds: int
    leeway_seconds: int
    guest_ttl_seconds: int
    max_guests: int


SETTING_NAMES = frozenset(Options.__annotations__)


def normal_origin(url: str) -> str | None:
    """Reduce a URL to its origin as browsers spell it; None where it has none."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not _HOST.fullmatch(parts.hostname or ""):
        return None
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    is_default = port in {None, {"http": 80, "https": 443}[parts.scheme]}
    return f"{parts.scheme}://{host}" + ("" if is_default else f":{port}")


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address never leaves the machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _own_origin(url: str) -> str:
    origin = normal_origin(url)
    parts = urlsplit(url) if origin else None
    is_plain = _URL.fullmatch(url) is not None and _NOT_OF_AN_APPLICATION.isdisjoint(url)
    if origin is None or parts is None or not is_plain:
        raise ConfigurationError(
            f"url is {url!r}; give where browsers reach the application, in ASCII and without "
            "a query, as https://app.example.com or http://127.0.0.1:8000"
        )
    if origin.startswith("http://") and not is_loopback(parts.hostname or ""):
        raise ConfigurationError(
            f"url {url!r} is plain http to another machine, so cookies could be read on the way; "
            "use https (a TLS-terminating proxy is fine), or loopback for development"
        )
    return origin
