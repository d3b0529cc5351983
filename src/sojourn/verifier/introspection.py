"""Opaque tokens: whoever issued one is asked what it is worth, and the answer is kept shortly.

An introspector is two pure functions, the request and the reading of its answer. "Invalid" is an
answer; an endpoint that fails, throttles or answers nonsense is a failure and never "invalid".
"""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import quote, urlencode

import msgspec

from sojourn.errors import ConfigurationError
from sojourn.jose.strict_json import MAX_INTEGER
from sojourn.model import Principal
from sojourn.verifier.fetching import Answer, Fetch, FetchError, read_object
from sojourn.verifier.foreign import foreign_principal
from sojourn.verifier.providers import ClaimPath
from sojourn.verifier.urls import checked_url

SECONDS = 5.0
NOT_FOUND = 404
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]{1,4096}=*")
"""RFC 6750 section 2.1."""
_GITHUB_TOKEN = re.compile(r"gh[ou]_[A-Za-z0-9]{36,251}")
"""What an application was given for a user; personal and installation tokens are not its own."""


class Introspector(Protocol):
    """Knows whom to ask about an opaque token, and how."""

    @property
    def name(self) -> str:
        """The issuer, as principals and messages name it."""
        ...

    def takes(self, token_text: str) -> bool:
        """Tell by its form whether a token may be one of this issuer's.

        A token is shown to the first introspector that takes it; be strict, lest another issuer's
        be given away.
        """
        ...

    def request(self, token_text: str) -> Fetch:
        """Say what to send."""
        ...

    def read(self, answer: Answer, *, now_ms: int) -> Principal[Any] | None:
        """Read the answer; None where the token is invalid, or over.

        Raises:
            FetchError: It is no answer to the question.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Rfc7662:
    """An introspection endpoint (RFC 7662).

    Args:
        endpoint: Its address.
        issuer: What principals call the issuer, and the exact ``iss`` of an answer that has one.
        audience: The ``aud`` an answer must have; None only where the endpoint never says one.
        client_id: This service's name at the endpoint, with `client_secret`.
        client_secret: Its secret.
        bearer: A token for the endpoint, instead of the two.
        prefix: How its tokens begin. Without one, any opaque token is sent there.
        roles_from: The members of an answer that hold roles: a name, or a path.

    Raises:
        ConfigurationError: It is unsafe, or without credentials.
    """

    endpoint: str
    issuer: str
    audience: str | None
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    bearer: str = field(default="", repr=False)
    prefix: str = ""
    roles_from: tuple[str | ClaimPath, ...] = ()

    def __post_init__(self) -> None:
        """Check once."""
        checked_url(self.endpoint, what="the introspection endpoint")
        if not self.issuer or self.audience == "":
            raise ConfigurationError("issuer and audience are texts that are not empty")
        if bool(self.bearer) == bool(self.client_id and self.client_secret):
            raise ConfigurationError(
                "an introspection endpoint is protected (RFC 7662 section 2.1): "
                "give client_id and client_secret, or bearer"
            )

    @property
    def name(self) -> str:
        """See `Introspector.name`."""
        return self.issuer

    def takes(self, token_text: str) -> bool:
        """See `Introspector.takes`."""
        return token_text.startswith(self.prefix) and _TOKEN.fullmatch(token_text) is not None

    def request(self, token_text: str) -> Fetch:
        """See `Introspector.request`."""
        authorization = f"Bearer {self.bearer}"
        if not self.bearer:
            # Form-encoded first (RFC 6749 section 2.3.1).
            authorization = _basic(
                quote(self.client_id, safe=""), quote(self.client_secret, safe="")
            )
        return Fetch(
            url=self.endpoint,
            method="POST",
            headers={
                "Authorization": authorization,
                "Content-Type": "application/x-www-form-urlencoded",
            },
            body=urlencode({"token": token_text, "token_type_hint": "access_token"}).encode(),
            timeout_seconds=SECONDS,
        )

    def read(self, answer: Answer, *, now_ms: int) -> Principal[Any] | None:
        """See `Introspector.read`."""
        said = read_object(answer, what=f"the introspection endpoint of {self.issuer}")
        is_active = said.get("active")
        if not isinstance(is_active, bool):
            raise FetchError(f"the introspection endpoint of {self.issuer} does not say 'active'")
        if not is_active or not self._is_ours(said, now_ms=now_ms):
            return None
        return foreign_principal(
            {name: value for name, value in said.items() if name not in {"active", "token_type"}},
            subject=said["sub"],
            expires_at=said.get("exp", 0),
            issuer=self.issuer,
            audience=self.audience or "",
            roles_from=tuple((p,) if isinstance(p, str) else p for p in self.roles_from),
        )

    def _is_ours(self, said: dict[str, Any], *, now_ms: int) -> bool:
        audiences = said.get("aud", [])
        audiences = [audiences] if isinstance(audiences, str) else audiences
        is_for_us = self.audience is None or (
            isinstance(audiences, list) and self.audience in audiences
        )
        subject, now = said.get("sub"), now_ms / 1000
        return (
            is_for_us
            and said.get("iss", self.issuer) == self.issuer
            and isinstance(subject, str)
            and subject != ""
            and ("exp" not in said or (_is_instant(said["exp"]) and now < said["exp"]))
            and ("nbf" not in said or (_is_instant(said["nbf"]) and said["nbf"] <= now))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class GitHubApp:
    """GitHub's own call for the tokens of an OAuth or GitHub App: `POST …/applications/{id}/token`.

    The subject is the user's number, which stays when the login changes; ``claims["login"]`` is the
    login.

    Args:
        client_id: The application's.
        client_secret: Its secret.
        api: Where the API is; another one for an Enterprise server.

    Raises:
        ConfigurationError: It is unsafe, or incomplete.
    """

    client_id: str
    client_secret: str = field(repr=False)
    api: str = "https://api.github.com"

    def __post_init__(self) -> None:
        """Check once."""
        checked_url(self.api, what="the API of GitHub")
        if not self.client_id or not self.client_secret:
            raise ConfigurationError("give client_id and client_secret of the application")

    @property
    def name(self) -> str:
        """See `Introspector.name`."""
        return "https://github.com" if self.api == "https://api.github.com" else self.api

    def takes(self, token_text: str) -> bool:
        """See `Introspector.takes`."""
        return _GITHUB_TOKEN.fullmatch(token_text) is not None

    def request(self, token_text: str) -> Fetch:
        """See `Introspector.request`."""
        return Fetch(
            url=f"{self.api}/applications/{quote(self.client_id, safe='')}/token",
            method="POST",
            headers={
                "Accept": "application/vnd.github+json",
                "Authorization": _basic(self.client_id, self.client_secret),
                "Content-Type": "application/json",
                "X-GitHub-Api-Version": "2022-11-28",
            },
            body=msgspec.json.encode({"access_token": token_text}),
            timeout_seconds=SECONDS,
        )

    def read(self, answer: Answer, *, now_ms: int) -> Principal[Any] | None:
        """See `Introspector.read`."""
        if answer.status == NOT_FOUND:
            return None
        said = read_object(answer, what="GitHub")
        user, app, scopes = said.get("user"), said.get("app"), said.get("scopes") or []
        if (
            not isinstance(user, dict)
            or type(user.get("id")) is not int
            or not isinstance(app, dict)
            or app.get("client_id") != self.client_id
        ):
            raise FetchError("GitHub did not answer with a user and this application")
        expires_at = _read_date(said.get("expires_at"))
        if expires_at and now_ms >= expires_at * 1000:
            return None
        return foreign_principal(
            {"scope": scopes, "client_id": self.client_id, "login": user.get("login")},
            subject=str(user["id"]),
            expires_at=expires_at,
            issuer=self.name,
        )


def _is_instant(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MAX_INTEGER


def _read_date(value: Any) -> int:
    """Read GitHub's expiry: seconds since the epoch, 0 for none.

    Raises:
        FetchError: It is no date.
    """
    if value is None:
        return 0
    try:
        return int(datetime.fromisoformat(value).timestamp())
    except (TypeError, ValueError, OverflowError):
        raise FetchError("GitHub answered with an expiry that is no date") from None


def _basic(user: str, password: str) -> str:
    return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"
