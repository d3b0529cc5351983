"""What holds between a browser and us: which cookies, which credential counts, CSRF, CORS, proxies."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import islice
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sojourn import handles
from sojourn.cookies import FoundCookies, read_cookies, write_cookie
from sojourn.errors import CrossSite
from sojourn.messages import NOTHING_TO_SEND, Incoming, Outgoing

if TYPE_CHECKING:
    from sojourn.model import Mode, Transport
    from sojourn.settings import Settings

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
MAX_COPIES = 8
_JWT_DOTS = 2
_NO_STORE = ("Cache-Control", "no-store")
_CORS_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
_CORS_HEADERS = "Authorization, Content-Type"
_CORS_MAX_AGE_SECONDS = "600"


@dataclass(frozen=True, slots=True)
class CookieNames:
    """The names of our cookies under some settings."""

    handle: str
    access: str
    refresh: str
    guest: str

    @classmethod
    def of(cls, settings: Settings) -> CookieNames:
        """Name them: ``__Host-`` unless shared with subdomains; bare in development only.

        Cookies do not tell ports apart, so that two applications on one localhost would overwrite
        each other's: in development the default stem carries the port.
        """
        stem = settings.cookie_name or "sojourn"
        if settings.is_development:
            port = urlsplit(settings.url).port or 80
            stem = settings.cookie_name or f"sojourn-{port}"
        prefix = "__Host-" if settings.cookie_domain is None else "__Secure-"
        stem = stem if settings.is_development else prefix + stem
        return cls(stem, f"{stem}-access", f"{stem}-refresh", f"{stem}-guest")

    @property
    def every(self) -> frozenset[str]:
        """All of them."""
        return frozenset((self.handle, self.access, self.refresh, self.guest))


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request presents, not yet judged. The bearer counts where both are there."""

    transport: Transport = "cookie"
    access: str = field(default="", repr=False)
    handle: str = field(default="", repr=False)
    refresh: str = field(default="", repr=False)
    guest: str = field(default="", repr=False)
    is_ambiguous: bool = False
    """A cookie that signs in came twice, so none of them is believed."""
    copies: tuple[str, ...] = field(default=(), repr=False)
    """Then, what could be proofs among all of them; a logout ends the sessions of each."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing that could sign anybody in was presented."""
        return not (self.access or self.handle or self.refresh)


class Browser:
    """The browser rules under some settings, prepared once.

    Args:
        settings: The settings.
    """

    __slots__ = ("_all_names", "_settings", "names")

    def __init__(self, settings: Settings) -> None:
        """Prepare the cookie names."""
        self._settings = settings
        self.names = CookieNames.of(settings)
        self._all_names = self.names.every

    @property
    def is_shared(self) -> bool:
        """Whether pages of other origins may send credentials."""
        return bool(self._settings.trusted_origins)

    # --- in ---------------------------------------------------------------------------------------

    def credentials(self, incoming: Incoming) -> Credentials:
        """Read what a request presents; never fails.

        A bearer that is a handle (``sj_``) is an opaque one, anything else an access token
        (RFC 6750 section 2.1).
        """
        found = read_cookies(incoming.cookies, self._all_names) if incoming.cookies else None
        guest = found.values.get(self.names.guest, "") if found else ""
        if incoming.authorization:
            scheme, _, text = incoming.authorization.partition(" ")
            if scheme.lower() == "bearer":
                text = text.strip(" ")
                if text.startswith("sj_"):
                    return Credentials("bearer", handle=text, guest=guest)
                return Credentials("bearer", access=text or "-", guest=guest)
        if found is None:
            return Credentials()
        if found.duplicated - {self.names.guest}:
            return Credentials(is_ambiguous=True, copies=self._proofs_among(found))
        return Credentials(
            "cookie",
            access=found.values.get(self.names.access, ""),
            handle=found.values.get(self.names.handle, ""),
            refresh=found.values.get(self.names.refresh, ""),
            guest=guest,
        )

    def _proofs_among(self, found: FoundCookies) -> tuple[str, ...]:
        """Pick out what could be proofs of sessions, bounded: whoever plants cookies plants many."""
        presented = (*found.copies, *found.values.items())
        texts = dict.fromkeys(text for name, text in presented if name != self.names.guest)
        proofs = (text for text in texts if handles.parse(text) or text.count(".") == _JWT_DOTS)
        return tuple(islice(proofs, MAX_COPIES))

    def after(self, incoming: Incoming, outgoing: Outgoing) -> Incoming:
        """Give the request as the browser would send it after an answer with these headers.

        What handles a request that was renewed in passing goes on with the new credentials: to
        present the old ones once more would look like theft.
        """
        cookies = dict(read_cookies(incoming.cookies, self._all_names).values)
        for name, text in outgoing.headers:
            if name == "Set-Cookie":
                cookie, _, rest = text.partition("=")
                cookies[cookie] = rest.partition(";")[0]
        header = "; ".join(f"{name}={value}" for name, value in cookies.items() if value)
        return dataclasses.replace(incoming, cookies=header)

    def is_cross_site(self, incoming: Incoming) -> bool:
        """Tell whether an unsafe request comes from a page that is not trusted (CSRF).

        A browser says where a request comes from by Origin (on every unsafe request) and by
        Sec-Fetch-Site (Fetch Metadata). Origin decides where present, since only it can name a
        trusted origin; else Sec-Fetch-Site must be ``same-origin``, or ``none`` (typed by the
        user). Neither means no browser, and no ambient cookies, so it is allowed. An Origin of
        ``null`` names nobody: our own pages send it under ``Referrer-Policy: no-referrer``, and
        sandboxed ones anywhere, so only ``same-origin`` beside it is allowed.
        """
        if incoming.method in SAFE_METHODS:
            return False
        if incoming.origin == "null":
            return incoming.sec_fetch_site != "same-origin"
        if incoming.origin:
            return incoming.origin not in self._settings.origins
        if incoming.sec_fetch_site:
            return incoming.sec_fetch_site not in {"same-origin", "none"}
        return False

    def cross_site_error(self, incoming: Incoming) -> CrossSite:
        """Say from where a refused request came, and what to do if that page is one's own."""
        own = self._settings.origin
        if not incoming.origin or incoming.origin == "null":
            return CrossSite(
                f"the request was not sent by a page of {own}; open the application there"
            )
        return CrossSite(
            f"the request was sent by a page of {incoming.origin[:200]}, and this is {own}; open "
            "the application there, or add the other origin to trusted_origins if it is yours"
        )

    def client_address(self, incoming: Incoming) -> str:
        """Give the address a request came from.

        The rightmost address of X-Forwarded-For that is not a trusted proxy itself: what stands
        left of it was written by whoever sent the request.
        """
        networks = self._settings.proxy_networks
        nearest = _address(incoming.peer)
        if nearest is None or not networks:
            return incoming.peer if nearest is None else str(nearest)

        def is_proxy(address: IPv4Address | IPv6Address) -> bool:
            return any(address in network for network in networks)

        if not is_proxy(nearest):
            return str(nearest)
        for text in reversed(incoming.forwarded_for.split(",")):
            address = _address(text.strip())
            if address is None:
                break
            nearest = address
            if not is_proxy(address):
                break
        return str(nearest)

    # --- out --------------------------------------------------------------------------------------

    def set_cookies(self, values: dict[str, str], *, max_age_seconds: int | None) -> Outgoing:
        """Hand secrets out in cookies, in a response no cache may keep or share."""
        return Outgoing(
            headers=(
                *(
                    ("Set-Cookie", self._cookie(name, value, max_age_seconds))
                    for name, value in values.items()
                ),
                _NO_STORE,
                ("Vary", "Cookie"),
            )
        )

    def remove_cookies(self, names: frozenset[str] | None = None) -> Outgoing:
        """Take cookies back; all of ours by default."""
        each = sorted(self._all_names if names is None else names)
        return self.set_cookies(dict.fromkeys(each, ""), max_age_seconds=0)

    def remove_others(self, incoming: Incoming, mode: Mode) -> Outgoing:
        """Take back the cookies of other modes that a browser still presents beside a new login's."""
        names = self.names
        kept = {
            "session": {names.handle},
            "jwt": {names.access},
            "hybrid": {names.access, names.refresh},
        }[mode]
        found = read_cookies(incoming.cookies, self._all_names)
        others = (found.values.keys() | found.duplicated) - kept - {names.guest}
        return self.remove_cookies(frozenset(others)) if others else NOTHING_TO_SEND

    def no_store(self) -> Outgoing:
        """Keep a response with secrets in its body out of every cache (RFC 6749 section 5.1)."""
        return Outgoing(headers=(_NO_STORE,))

    def _cookie(self, name: str, value: str, max_age_seconds: int | None) -> str:
        return write_cookie(
            name,
            value,
            secure=not self._settings.is_development,
            same_site=self._settings.same_site,
            max_age_seconds=max_age_seconds,
            domain=self._settings.cookie_domain,
        )

    # --- cross-origin ------------------------------------------------------------------------------

    def cors(self, incoming: Incoming, *, preflight: bool = False) -> Outgoing:
        """Let pages of trusted origins read answers and send credentials (Fetch, "CORS protocol").

        Args:
            incoming: The request.
            preflight: Whether it is an OPTIONS request with Access-Control-Request-Method.

        Returns:
            The headers; ``Vary: Origin`` in any case, since the answer differs by it.
        """
        vary = ("Vary", "Origin")
        if not incoming.origin or incoming.origin not in self._settings.origins:
            return Outgoing(headers=(vary,))
        headers = [
            ("Access-Control-Allow-Origin", incoming.origin),
            ("Access-Control-Allow-Credentials", "true"),
            vary,
        ]
        if preflight:
            headers += [
                ("Access-Control-Allow-Methods", _CORS_METHODS),
                ("Access-Control-Allow-Headers", _CORS_HEADERS),
                ("Access-Control-Max-Age", _CORS_MAX_AGE_SECONDS),
            ]
        return Outgoing(headers=tuple(headers))


@lru_cache(maxsize=4096)
def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address
