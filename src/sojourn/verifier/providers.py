"""What is known of issuers that many use, in one table; `Issuer` has a constructor for each.

The facts are from the discovery documents and key sets that they publish. An issuer of another
kind is described the same way by `Issuer.oidc`.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from sojourn.jose.expectation import ACCESS_TOKEN_TYP

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sojourn.jose.algorithms import Algorithm

ClaimPath = tuple[str, ...]
"""Where a claim stands: its name, then the names within; `AUDIENCE` is the token's audience."""

AUDIENCE: Final = "{audience}"
TENANT: Final = "{tenantid}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """The facts of one kind of issuer.

    Args:
        typ: The header's ``typ``; None where it sends none.
        algorithms: What it signs with.
        also_known_as: Other spellings of its ``iss``.
        jwks_hosts: Other hosts that its metadata may name for the keys.
        roles_from: Where roles stand.
        claims: Claims a token must carry, each with its only acceptable value.
    """

    typ: str | None = "JWT"
    algorithms: frozenset[Algorithm] = frozenset({"RS256"})
    also_known_as: frozenset[str] = frozenset()
    jwks_hosts: frozenset[str] = frozenset()
    roles_from: tuple[ClaimPath, ...] = ()
    claims: tuple[tuple[str, str], ...] = ()


PROVIDERS: Final[Mapping[str, Provider]] = MappingProxyType(
    {
        "sojourn": Provider(
            typ=ACCESS_TOKEN_TYP, algorithms=frozenset({"ES256"}), roles_from=(("roles",),)
        ),
        # ID tokens, for a client id. Older ones spell the issuer without its scheme; the keys are
        # on another host.
        "google": Provider(
            also_known_as=frozenset({"accounts.google.com"}),
            jwks_hosts=frozenset({"www.googleapis.com"}),
        ),
        # Access tokens of an API; `permissions` are read as scopes. The issuer ends in a slash.
        "auth0": Provider(),
        # Tokens of a workflow run. Anybody's workflow gets one, for any audience: a claim that
        # says whose it is has to be pinned.
        "github_actions": Provider(),
        # Access tokens of version 2.0. The metadata names the issuer with a place for the tenant,
        # and the keys do not name their algorithm.
        "microsoft": Provider(roles_from=(("roles",),)),
        # Access tokens; ID tokens are told apart by the claim `typ` alone. Roles of a client
        # count for the audience's own client only.
        "keycloak": Provider(
            roles_from=(("realm_access", "roles"), ("resource_access", AUDIENCE, "roles")),
            claims=(("typ", "Bearer"),),
        ),
    }
)
