"""An authorizer: a function that API Gateway calls before a request reaches what it protects."""

from __future__ import annotations

import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from sojourn.awslambda.events import Event, incoming_of_event
from sojourn.errors import ConfigurationError, InvalidToken, Refused
from sojourn.model import Principal
from sojourn.need import ANYONE_SIGNED_IN, Need
from sojourn.sync import Sojourn
from sojourn.verifier import Verifier

log = logging.getLogger("sojourn.requests")

Handler = Callable[[Event, Any], dict[str, Any]]
_NOBODY = "nobody"


class Unauthorized(Exception):
    """What API Gateway answers 401 for: an exception with exactly this text, and any other is a 500."""

    def __init__(self) -> None:
        """Say the word."""
        super().__init__("Unauthorized")


def authorizer(checker: Verifier | Sojourn[Any], *, need: Need = ANYONE_SIGNED_IN) -> Handler:
    """Make the handler of a Lambda authorizer.

    It answers a REST API's (TOKEN or REQUEST) and a WebSocket API's with an IAM policy, and an HTTP
    API's with payload 2.0 with a simple response. Whoever is signed in reaches the backend as the
    context: ``subject``, ``sid``, ``issuer``, ``mode``, ``roles`` and ``scopes`` (separated by
    spaces), ``auth_time`` and ``expires_at`` (seconds since the epoch).

    API Gateway caches what is answered for as long as the authorizer's result TTL says, and hears of
    no revocation meanwhile: set it to 0. A REST API's is 300 seconds where nothing is set. A policy
    names the whole stage for a bearer token; for cookies only the method and path that were asked for.

    Args:
        checker: `Verifier` with ``is_following=False``, or a `Sojourn`.
        need: What every route with this authorizer asks for.

    Returns:
        ``handler(event, context)``; it raises `Unauthorized` where nobody is signed in and a policy
        is asked for, and what `check` raises where that cannot be known, for which clients see 500.

    Raises:
        ConfigurationError: A verifier that follows, or an asynchronous checker, was given.
    """
    if not isinstance(checker, Verifier | Sojourn):
        raise ConfigurationError(
            f"{type(checker).__name__} cannot be asked by a Lambda handler, which is not awaited; "
            "give Verifier or Sojourn"
        )
    if isinstance(checker, Verifier) and checker.is_following:
        raise ConfigurationError(
            "a verifier that follows needs a thread, which is frozen between two calls; give "
            "Verifier(…, is_following=False)"
        )

    def handler(event: Event, _: Any = None) -> dict[str, Any]:
        # What is renewed in passing could not be handed out: an authorizer sets no cookies.
        incoming = incoming_of_event(event)
        checked = checker.check(incoming, need=need, renew=False)
        principal, refusal = checked.principal, checked.refusal
        if refusal is not None:
            log.info("refused: %s%s", refusal, _reason_of(refusal))
        if event.get("version") == "2.0":
            return _simple(principal)
        if refusal is not None and refusal.status == HTTPStatus.UNAUTHORIZED:
            raise Unauthorized from refusal
        arn = str(event["methodArn"])
        # A cached policy answers for other methods too. All of them ask a bearer for the same, but
        # whether cookies count depends on the method and on whose page sent them.
        is_bearer = incoming.authorization.lower().startswith("bearer ")
        return _policy(principal, _stage_of(arn) if is_bearer else arn)

    return handler


def _simple(principal: Principal[Any] | None) -> dict[str, Any]:
    if principal is None:
        return {"isAuthorized": False}
    return {"isAuthorized": True, "context": _context(principal)}


def _stage_of(arn: str) -> str:
    api, stage = arn.split("/")[:2]
    return f"{api}/{stage}/*"


def _policy(principal: Principal[Any] | None, resource: str) -> dict[str, Any]:
    """Allow, or deny, what this authorizer protects."""
    statement = {
        "Action": "execute-api:Invoke",
        "Effect": "Deny" if principal is None else "Allow",
        "Resource": resource,
    }
    return {
        "principalId": _NOBODY if principal is None else principal.subject,
        "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
        "context": {} if principal is None else _context(principal),
    }


def _context(principal: Principal[Any]) -> dict[str, str | int]:
    """Tell the backend who it is; API Gateway takes text, numbers and booleans."""
    return {
        "subject": principal.subject,
        "sid": principal.sid,
        "issuer": principal.issuer,
        "mode": principal.mode,
        "roles": " ".join(sorted(principal.roles)),
        "scopes": " ".join(sorted(principal.scopes)),
        "auth_time": principal.auth_time,
        "expires_at": principal.expires_at,
    }


def _reason_of(refusal: Refused) -> str:
    return f" ({refusal.reason})" if isinstance(refusal, InvalidToken) else ""
