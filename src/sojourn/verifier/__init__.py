"""Verifying tokens in another service, function or edge worker, without the store.

`Verifier` and `AsyncVerifier` accept the tokens of pinned issuers: Sojourn's own, whose revocations
they follow over HTTP, and any OpenID provider's. Decisions are pure (`judging`), a check is a flow
that yields what has to be fetched (`checking`), and two drivers run it (`driving`). By concept:
`issuer` and `providers` (what is pinned), `keys`, `picture`, `events` and `follower` (revocations),
`introspection` and `asking` (opaque tokens), `fetching`, `flights`, `urls` and `web` (the network).
"""

from sojourn.errors import IssuerUnavailable
from sojourn.verifier.faces import AsyncVerifier, IssuerHealth, Verifier
from sojourn.verifier.fetching import Answer, Fetch, Fetcher, FetchError
from sojourn.verifier.introspection import GitHubApp, Introspector, Rfc7662
from sojourn.verifier.issuer import Issuer
from sojourn.verifier.web import Web

__all__ = [
    "Answer",
    "AsyncVerifier",
    "Fetch",
    "FetchError",
    "Fetcher",
    "GitHubApp",
    "Introspector",
    "Issuer",
    "IssuerHealth",
    "IssuerUnavailable",
    "Rfc7662",
    "Verifier",
    "Web",
]
