"""An issuer's keys: found, kept through outages, asked for again within budgets.

Each reason to ask has a budget of its own, so that a flood of made-up kids neither multiplies
requests nor keeps the periodic refresh from happening. The last good keys are kept for as long as
an outage lasts; a key that the feed revokes goes at once and for good.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sojourn.engine.picture import Stamp
from sojourn.errors import ConfigurationError, InvalidKey
from sojourn.jose import AccessClaims, Expectation, KeySet, RegisteredClaims, TokenVerifier
from sojourn.jose.keyset import MAX_JWKS_BYTES
from sojourn.verifier.fetching import Fetch, FetchError, Procedure, read_object
from sojourn.verifier.issuer import Issuer
from sojourn.verifier.urls import checked_url, host_of

log = logging.getLogger("sojourn.verifier")

LONGEST_KEPT_MS = 300_000
"""Keys are asked for again after this long at most; Sojourn publishes one 10 minutes ahead."""
SHORTEST_KEPT_MS = 30_000
RETRY_MS = 30_000
"""How long after a failed periodic refresh the next is tried."""
COLD_RETRY_MS = 1_000
"""The same where there are no keys at all, and every check waits for them."""
UNKNOWN_KID_MS = 30_000
"""Unknown kids lead to at most one request in this time, however many are presented."""
FETCH_SECONDS = 3.0
MAX_METADATA_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """The keys of one moment; another moment's are another object, and nothing remembered fits.

    Args:
        entries: The key set's entries as published.
        sets: The key set for each spelling of the issuer.
        verifiers: Made from them, by spelling and audience.
    """

    entries: list[Any]
    sets: dict[str, KeySet]
    verifiers: dict[tuple[str, str], TokenVerifier[Any]] = field(default_factory=dict)


class Keys:
    """The keys of one issuer in this process.

    Args:
        issuer: Whose.
        leeway_seconds: How far clocks may differ.
        stamp: Reads both clocks.
    """

    def __init__(self, issuer: Issuer, *, leeway_seconds: int, stamp: Callable[[], Stamp]) -> None:
        """Know none, unless they are pinned."""
        self._issuer = issuer
        self._leeway_seconds = leeway_seconds
        self._stamp = stamp
        self._lock = threading.Lock()
        self._jwks_uri = issuer.jwks_uri
        self._revoked: frozenset[str] = frozenset()
        self._kept_ms = LONGEST_KEPT_MS
        self._fetched_at: Stamp | None = None
        self._tried_at: Stamp | None = None
        self._unknown_at: Stamp | None = None
        self._is_outdated = False
        self.has_failed = False
        """Whether the last attempt to fetch them failed."""
        self.loaded: Loaded | None = None
        if issuer.jwks is not None:
            self.loaded = self._read(issuer.jwks)

    @property
    def age_seconds(self) -> float | None:
        """How long ago they were fetched; None where they never were, or are pinned."""
        fetched_at = self._fetched_at
        return None if fetched_at is None else fetched_at.age_ms(self._stamp()) / 1000

    # --- verifying --------------------------------------------------------------------------------

    def verify(
        self, loaded: Loaded, token: str, *, spelling: str, audience: str, now_ms: int
    ) -> RegisteredClaims:
        """Verify a token offline.

        Raises:
            InvalidToken: It is not one of this issuer for this audience.
            ExpiredToken: It was one.
        """
        verifier = loaded.verifiers.get((spelling, audience))
        if verifier is None:
            expectation = Expectation(
                issuer=spelling,
                audience=audience,
                algorithms=self._issuer.algorithms,
                typ=self._issuer.typ,
                leeway_seconds=self._leeway_seconds,
            )
            kind = AccessClaims if self._issuer.is_sojourn else RegisteredClaims
            verifier = TokenVerifier(loaded.sets[spelling], expectation, kind)
            loaded.verifiers[spelling, audience] = verifier
        claims: RegisteredClaims = verifier.verify(token, now=now_ms / 1000)
        return claims

    # --- when to ask ------------------------------------------------------------------------------

    @property
    def is_refresh_due(self) -> bool:
        """Whether good keys are old enough to be asked for again."""
        if self._issuer.jwks is not None or self._fetched_at is None:
            return False
        now = self._stamp()
        if self._tried_at is not None and self._tried_at.age_ms(now) < COLD_RETRY_MS:
            return False
        if self.has_failed and self._tried_at is not None:
            return self._tried_at.age_ms(now) >= RETRY_MS
        return self._is_outdated or self._fetched_at.age_ms(now) >= self._kept_ms

    def may_fetch_first(self) -> bool:
        """Tell whether to ask where there are no keys: not in the second after it failed."""
        return self._tried_at is None or self._tried_at.age_ms(self._stamp()) >= COLD_RETRY_MS

    def may_fetch_unknown(self) -> bool:
        """Tell whether to ask because of a kid that is unknown, and count it against the budget."""
        if self._issuer.jwks is not None:
            return False
        with self._lock:
            now = self._stamp()
            is_due = self._unknown_at is None or self._unknown_at.age_ms(now) >= UNKNOWN_KID_MS
            if is_due or self._is_outdated:
                self._unknown_at, self._is_outdated = now, False
                return True
            return False

    # --- what happens to them ---------------------------------------------------------------------

    def mark_outdated(self) -> None:
        """Have them asked for again soon: the issuer says that its keys changed."""
        self._is_outdated = True

    def revoke(self, kid: str) -> None:
        """Take a key back for good, whatever the issuer publishes from now on."""
        with self._lock:
            if kid not in self._revoked:
                self._revoked |= {kid}
                if self.loaded is not None:
                    self.loaded = self._read({"keys": self.loaded.entries})

    def is_revoked(self, kid: object) -> bool:
        """Tell whether the feed took this key back."""
        return kid in self._revoked

    def fetch(self) -> Procedure[None]:
        """Ask for them, and take them in; what was there stays where that fails.

        Raises:
            FetchError: No acceptable key set came.
        """
        self._tried_at, self._is_outdated = self._stamp(), False
        sent = self._tried_at
        try:
            uri = self._jwks_uri or (yield from find_jwks_uri(self._issuer))
            answer = yield Fetch(url=uri, max_bytes=MAX_JWKS_BYTES, timeout_seconds=FETCH_SECONDS)
            said = read_object(answer, what=f"the keys of {self._issuer.url}")
            with self._lock:
                self._take_in(said)
        except FetchError as error:
            self.has_failed = True
            self._jwks_uri = self._issuer.jwks_uri  # look it up again: it may have moved
            kept = "" if self.loaded is None else "; the last good ones are kept"
            log.warning("fetching the keys of %s failed%s: %s", self._issuer.url, kept, error)
            raise
        self.has_failed = False
        self._jwks_uri = uri
        self._fetched_at = sent
        self._kept_ms = kept_ms(answer.cache_control)

    def _take_in(self, said: Mapping[str, Any]) -> None:
        try:
            loaded = self._read(said)
        except InvalidKey as error:
            raise FetchError(str(error)) from None
        if self.loaded is None or self.loaded.entries != loaded.entries:
            self.loaded = loaded
            if not any(len(keys) for keys in loaded.sets.values()):
                log.warning("%s publishes no key that can be used", self._issuer.url)

    def _read(self, said: Mapping[str, Any]) -> Loaded:
        sets = {
            spelling: self._set_for(said, spelling if tenant else "")
            for spelling, (_, tenant) in self._issuer.spellings.items()
        }
        return Loaded(entries=list(said["keys"]), sets=sets)

    def _set_for(self, said: Mapping[str, Any], spelling: str) -> KeySet:
        """Read the key set, for one tenant without the keys that are another tenant's alone."""
        entries = said.get("keys")
        if spelling and isinstance(entries, list):
            template = self._issuer.metadata_issuer
            accepted = (None, template, spelling)
            entries = [e for e in entries if not isinstance(e, dict) or e.get("issuer") in accepted]
        keys = KeySet.from_jwks({"keys": entries}, algorithms=self._issuer.algorithms)
        return KeySet(key for key in keys if key.kid not in self._revoked)


def find_jwks_uri(issuer: Issuer) -> Procedure[str]:
    """Read in the issuer's metadata where its keys are (OpenID Connect Discovery section 4).

    Raises:
        FetchError: The metadata is another issuer's, or leads where it should not.
    """
    what = f"the metadata of {issuer.url}"
    answer = yield Fetch(
        url=issuer.metadata_url, max_bytes=MAX_METADATA_BYTES, timeout_seconds=FETCH_SECONDS
    )
    said = read_object(answer, what=what)
    if said.get("issuer") != issuer.metadata_issuer:
        raise FetchError(f"{what} is another issuer's; the url has to equal it to the letter")
    try:
        uri = checked_url(said.get("jwks_uri"), what="jwks_uri")
    except ConfigurationError as error:
        raise FetchError(f"{what} leads nowhere safe for the keys: {error}") from None
    if host_of(uri) not in issuer.key_hosts:
        raise FetchError(
            f"{what} leads to {host_of(uri)} for the keys; name that host in jwks_hosts if it is right"
        )
    return uri


def kept_ms(cache_control: str) -> int:
    """Tell how long keys are kept by an answer's Cache-Control (RFC 9111 section 5.2.2.1), bounded."""
    for directive in cache_control.lower().split(","):
        name, _, value = directive.strip().partition("=")
        if name == "max-age" and value.isascii() and value.isdigit():
            return max(SHORTEST_KEPT_MS, min(int(value[:9]) * 1000, LONGEST_KEPT_MS))
    return LONGEST_KEPT_MS
