"""An issuer whose tokens are accepted, with everything about it pinned (RFC 8725 sections 3.8 to 3.11)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sojourn.errors import ConfigurationError
from sojourn.jose.algorithms import PUBLIC, Algorithm
from sojourn.verifier.providers import PROVIDERS, TENANT, ClaimPath
from sojourn.verifier.urls import checked_url, host_of

DISCOVERY_PATH = "/.well-known/openid-configuration"
FEED_PATH = "/auth/revocations"
Texts = str | Collection[str]
_OWNER_CLAIMS = ("repository", "repository_id", "repository_owner", "repository_owner_id", "sub")


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """An issuer; made by the class methods, which know the facts of each kind.

    Nothing of it is taken from a token: the token's unverified ``iss`` only chooses, by exact
    comparison, against which issuer everything is then verified.

    Args:
        url: The exact ``iss``, a trailing slash included; and where its metadata is found.
        audiences: The ``aud`` of which a token must have one; the verifier's own where empty.
        algorithms: What it signs with.
        typ: The header's ``typ``; None where it sends none.
        also_known_as: Other exact spellings of its ``iss``.
        tenants: Microsoft's tenants that are accepted.
        claims: Claims a token must carry, each with the values that are accepted.
        roles_from: Where roles stand.
        discovery_url: Where its metadata is; below the url by default.
        jwks_uri: Where its keys are; the metadata is then not asked.
        jwks: Its keys themselves; nothing is then asked.
        jwks_hosts: Hosts beside its own that the metadata may name for the keys.
        feed_token: What `sojourn verifiers add` printed, for Sojourn's own issuers: without it
            nothing is known of revocations.
        is_sojourn: Whether it is one of Sojourn's.

    Raises:
        ConfigurationError: Something about it is unsafe or contradicts another.
    """

    url: str
    audiences: frozenset[str] = frozenset()
    algorithms: frozenset[Algorithm]
    typ: str | None
    also_known_as: frozenset[str] = frozenset()
    tenants: frozenset[str] = frozenset()
    claims: tuple[tuple[str, frozenset[str]], ...] = ()
    roles_from: tuple[ClaimPath, ...] = ()
    discovery_url: str = ""
    jwks_uri: str = ""
    jwks: Mapping[str, Any] | None = field(default=None, repr=False)
    jwks_hosts: frozenset[str] = frozenset()
    feed_token: str = field(default="", repr=False)
    is_sojourn: bool = False

    def __post_init__(self) -> None:
        """Refuse what would make verifying lenient, or ask where nobody should."""
        checked_url(self.url, what="the issuer")
        for what, url in (("discovery_url", self.discovery_url), ("jwks_uri", self.jwks_uri)):
            if url:
                checked_url(url, what=what)
        if not self.algorithms or not self.algorithms <= PUBLIC:
            raise ConfigurationError(
                "algorithms is a set of public-key algorithms such as {'RS256'}; whoever shares a "
                "secret with the issuer could issue its tokens"
            )
        if self.typ is not None and (not isinstance(self.typ, str) or not self.typ):
            raise ConfigurationError("typ is a text such as 'JWT', or None where none is sent")
        named = [*self.audiences, *self.also_known_as, *self.tenants]
        if not all(isinstance(text, str) and text for text in named):
            raise ConfigurationError("audience, also_known_as and tenants are texts, none empty")
        if self.jwks is not None and (self.jwks_uri or self.discovery_url):
            raise ConfigurationError("give jwks, or where the keys are to be found, not both")
        if not isinstance(self.feed_token, str) or not all(
            "!" <= c <= "~" for c in self.feed_token
        ):
            raise ConfigurationError("feed_token is what `sojourn verifiers add` printed")
        if self.feed_token and not self.is_sojourn:
            raise ConfigurationError("only Sojourn's own issuers have a feed; use Issuer.sojourn")

    # --- constructors -----------------------------------------------------------------------------

    @classmethod
    def sojourn(
        cls,
        url: str,
        *,
        feed_token: str = "",
        audience: Texts = (),
        algorithms: Iterable[Algorithm] | None = None,
        jwks_uri: str = "",
    ) -> Issuer:
        """Accept access tokens of a Sojourn server.

        Args:
            url: Its url, as its own settings have it.
            feed_token: What `sojourn verifiers add` printed; without it, a token is good until it
                expires.
            audience: The ``aud``; the verifier's own by default.
            algorithms: Its `signing_algorithm`, ES256 by default; both while it changes.
            jwks_uri: Where the keys are, for an application that publishes them itself.
        """
        return cls._of(
            "sojourn",
            url.rstrip("/") if isinstance(url, str) else url,
            audience,
            algorithms=algorithms,
            jwks_uri=jwks_uri,
            feed_token=feed_token,
            is_sojourn=True,
        )

    @classmethod
    def oidc(
        cls,
        url: str,
        *,
        typ: str | None,
        algorithms: Iterable[Algorithm],
        audience: Texts = (),
        also_known_as: Texts = (),
        claims: Mapping[str, Texts] | None = None,
        roles_from: Iterable[str | ClaimPath] = (),
        discovery_url: str = "",
        jwks_uri: str = "",
        jwks: Mapping[str, Any] | None = None,
        jwks_hosts: Texts = (),
    ) -> Issuer:
        """Accept tokens of any OpenID provider or authorisation server that signs JWTs.

        Args:
            url: The exact ``iss``; its metadata is found below it.
            typ: The header's ``typ``, as ``JWT`` or ``at+jwt``; None where it sends none.
            algorithms: What it signs with, as ``{"RS256"}``.
            audience: The ``aud`` of which a token must have one; the verifier's own by default.
            also_known_as: Other exact spellings of its ``iss``.
            claims: Claims a token must carry, each with the value or values that are accepted.
            roles_from: The claims that hold roles: a name, or a path as ``("realm", "roles")``.
            discovery_url: Where its metadata is, if not below the url.
            jwks_uri: Where its keys are; its metadata is then not asked.
            jwks: Its keys, a JWK Set; nothing is then asked.
            jwks_hosts: Hosts that the metadata may name for the keys, beside the issuer's own.
        """
        return cls(
            url=url,
            audiences=_texts(audience),
            algorithms=_algorithms(algorithms),
            typ=typ,
            also_known_as=_texts(also_known_as),
            claims=_pinned(claims or {}),
            roles_from=tuple((p,) if isinstance(p, str) else tuple(p) for p in roles_from),
            discovery_url=discovery_url,
            jwks_uri=jwks_uri,
            jwks=jwks,
            jwks_hosts=_texts(jwks_hosts),
        )

    @classmethod
    def google(cls, *, audience: Texts, claims: Mapping[str, Texts] | None = None) -> Issuer:
        """Accept ID tokens of Google.

        Args:
            audience: Your client id.
            claims: What else is demanded, as ``{"hd": "example.com"}`` for one organisation.
        """
        return cls._of("google", "https://accounts.google.com", audience, claims=claims)

    @classmethod
    def auth0(
        cls, domain: str, *, audience: Texts, claims: Mapping[str, Texts] | None = None
    ) -> Issuer:
        """Accept access tokens of an Auth0 API; for its RFC 9068 profile use `oidc`.

        Args:
            domain: As ``example.eu.auth0.com``, or your own.
            audience: The API's identifier.
            claims: What else is demanded.
        """
        return cls._of("auth0", f"https://{domain}/", audience, claims=claims)

    @classmethod
    def github_actions(cls, *, audience: Texts, claims: Mapping[str, Texts]) -> Issuer:
        """Accept tokens of GitHub Actions' workflow runs.

        Args:
            audience: What the workflow asks the token for.
            claims: Whose runs, as ``{"repository_owner": "example"}``; anybody's have a token.
        """
        if not any(name in claims for name in _OWNER_CLAIMS):
            raise ConfigurationError(
                "any workflow of anybody gets a token of GitHub Actions; say whose are accepted, "
                'as claims={"repository_owner": "example"}'
            )
        url = "https://token.actions.githubusercontent.com"
        return cls._of("github_actions", url, audience, claims=claims)

    @classmethod
    def microsoft(
        cls, *, tenants: Texts, audience: Texts, claims: Mapping[str, Texts] | None = None
    ) -> Issuer:
        """Accept access tokens (version 2.0) of Microsoft's tenants.

        Args:
            tenants: The ids of the tenants that are accepted; there is no "any".
            audience: Your application's id.
            claims: What else is demanded.
        """
        if not _texts(tenants):
            raise ConfigurationError("name the tenants that are accepted, by their ids")
        authority = "https://login.microsoftonline.com"
        return cls._of(
            "microsoft",
            f"{authority}/common/v2.0",
            audience,
            claims=claims,
            tenants=_texts(tenants),
        )

    @classmethod
    def keycloak(
        cls, url: str, *, realm: str, audience: Texts, claims: Mapping[str, Texts] | None = None
    ) -> Issuer:
        """Accept access tokens of a Keycloak realm.

        Args:
            url: Where Keycloak is, as ``https://id.example.com``.
            realm: The realm.
            audience: The ``aud``: your client, by an audience mapper.
            claims: What else is demanded, as ``{"azp": "web"}``.
        """
        return cls._of("keycloak", f"{url.rstrip('/')}/realms/{realm}", audience, claims=claims)

    @classmethod
    def _of(
        cls,
        kind: str,
        url: str,
        audience: Texts,
        *,
        claims: Mapping[str, Texts] | None = None,
        algorithms: Iterable[Algorithm] | None = None,
        **more: Any,
    ) -> Issuer:
        facts = PROVIDERS[kind]
        return cls(
            url=url,
            audiences=_texts(audience),
            algorithms=facts.algorithms if algorithms is None else _algorithms(algorithms),
            typ=facts.typ,
            also_known_as=facts.also_known_as,
            claims=_pinned({**dict(facts.claims), **(claims or {})}),
            roles_from=facts.roles_from,
            jwks_hosts=facts.jwks_hosts,
            **more,
        )

    # --- what follows from it ---------------------------------------------------------------------

    @property
    def metadata_url(self) -> str:
        """Where its metadata is (OpenID Connect Discovery section 4)."""
        return self.discovery_url or self.url.rstrip("/") + DISCOVERY_PATH

    @property
    def metadata_issuer(self) -> str:
        """How its metadata has to spell it, exactly."""
        return self._of_tenant(TENANT) if self.tenants else self.url

    def _of_tenant(self, tenant: str) -> str:
        return self.url.replace("/common/", f"/{tenant}/")

    @property
    def spellings(self) -> dict[str, tuple[str, str]]:
        """Each ``iss`` it may write, with what principals call it and the ``tid`` that goes with it."""
        if self.tenants:
            return {self._of_tenant(t): (self._of_tenant(t), t) for t in self.tenants}
        return dict.fromkeys((self.url, *self.also_known_as), (self.url, ""))

    @property
    def key_hosts(self) -> frozenset[str]:
        """The hosts its metadata may name for the keys."""
        return self.jwks_hosts | {host_of(self.url), host_of(self.metadata_url)}

    @property
    def feed_url(self) -> str:
        """Where a Sojourn server's revocations are read."""
        return self.url + FEED_PATH


def _texts(texts: Texts) -> frozenset[str]:
    return frozenset((texts,) if isinstance(texts, str) else texts)


def _algorithms(names: Iterable[Algorithm]) -> frozenset[Algorithm]:
    if isinstance(names, str):
        raise ConfigurationError(f'algorithms is a set; write algorithms={{"{names}"}}')
    return frozenset(names)


def _pinned(claims: Mapping[str, Texts]) -> tuple[tuple[str, frozenset[str]], ...]:
    return tuple((name, _texts(values)) for name, values in claims.items())
