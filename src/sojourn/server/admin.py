"""The administrators' JSON API: a role, and a fresh sign-in for whatever changes something."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sojourn.adapting.endpoints import shown_session
from sojourn.errors import BadRequest
from sojourn.keyring import RingKey
from sojourn.model import ANY, AuditRecord
from sojourn.server.accounts import parse_roles
from sojourn.server.api import NO_CONTENT, answer
from sojourn.server.requests import read_json
from sojourn.starlette import Auth, incoming_of

if TYPE_CHECKING:
    from sojourn.server.accounts import Account
    from sojourn.server.service import Service

ROLE = "admin"
MAX_NUMBER = 2**63 - 1
FRESH = timedelta(minutes=15)


class AccountBody(msgspec.Struct, forbid_unknown_fields=True):
    """`PATCH /admin/users/{subject}`."""

    roles: list[str] | None = None
    is_disabled: bool | None = None


class RotateBody(msgspec.Struct, forbid_unknown_fields=True):
    """`POST /admin/keys/rotate`."""

    is_emergency: bool = False


class Admin:
    """The endpoints.

    Args:
        auth: The adapter.
        service: The accounts.
    """

    def __init__(self, auth: Auth[Any], service: Service) -> None:
        """Take the parts."""
        self.auth = auth
        self.service = service
        now = timedelta(0)
        self._reader = auth.require(roles={ROLE}, max_lag=now)
        self._changer = auth.require(roles={ROLE}, max_lag=now, max_age=FRESH)

    def routes(self) -> list[Route]:
        """Give the routes."""
        return [
            Route("/admin/users", self.users, methods=["GET"]),
            Route("/admin/users/{subject}", self.change_user, methods=["PATCH"]),
            Route("/admin/users/{subject}/sessions", self.sessions, methods=["GET"]),
            Route("/admin/users/{subject}/sessions", self.end_all, methods=["DELETE"]),
            Route("/admin/sessions/{sid}", self.end_session, methods=["DELETE"]),
            Route("/admin/keys", self.keys, methods=["GET"]),
            Route("/admin/keys/rotate", self.rotate_keys, methods=["POST"]),
            Route("/admin/audit", self.audit, methods=["GET"]),
        ]

    async def users(self, request: Request) -> Response:
        """List accounts by address; `?after=` goes on."""
        await self._reader(request)
        accounts = await self.service.accounts.page(after=request.query_params.get("after", ""))
        return answer({"users": [shown_account(account) for account in accounts]})

    async def change_user(self, request: Request) -> Response:
        """Change roles, or disable or enable an account; in force everywhere at once."""
        principal = await self._changer(request)
        body = await read_json(request, AccountBody)
        account = await self.service.accounts.find(request.path_params["subject"])
        if body.roles is not None:
            roles = parse_roles(",".join(body.roles))
            await self.service.set_roles(account, roles, by=principal.subject)
        if body.is_disabled is not None:
            await self.service.set_disabled(
                account, is_disabled=body.is_disabled, by=principal.subject
            )
        return answer(shown_account(await self.service.accounts.find(account.subject)))

    async def sessions(self, request: Request) -> Response:
        """List the sessions of an account."""
        await self._reader(request)
        account = await self.service.accounts.find(request.path_params["subject"])
        infos = await self.auth.sojourn.sessions(account.subject)
        return answer({"sessions": [shown_session(info) for info in infos]})

    async def end_all(self, request: Request) -> Response:
        """End everything of an account."""
        principal = await self._changer(request)
        account = await self.service.accounts.find(request.path_params["subject"])
        await self.auth.sojourn.revoke_all(
            account.subject, by=principal.subject, incoming=incoming_of(request)
        )
        return Response(status_code=NO_CONTENT)

    async def end_session(self, request: Request) -> Response:
        """End one session, whoever's it is."""
        principal = await self._changer(request)
        await self.auth.sojourn.revoke(
            request.path_params["sid"],
            subject=ANY,
            by=principal.subject,
            incoming=incoming_of(request),
        )
        return Response(status_code=NO_CONTENT)

    async def keys(self, request: Request) -> Response:
        """List the signing keys: public facts only."""
        await self._reader(request)
        core = self.auth.sojourn.core
        await core.keys.load(core)
        return answer({"keys": [shown_key(key) for key in core.keys.ring.keys]})

    async def rotate_keys(self, request: Request) -> Response:
        """Put a new signing key into service."""
        principal = await self._changer(request)
        body = await read_json(request, RotateBody)
        await self.auth.sojourn.rotate_keys(by=principal.subject, is_emergency=body.is_emergency)
        return Response(status_code=NO_CONTENT)

    async def audit(self, request: Request) -> Response:
        """Read the audit trail; `?after=` goes on, `?subject=` and `?sid=` filter."""
        await self._reader(request)
        query = request.query_params
        try:
            after = int(query.get("after", "0"))
        except ValueError:
            after = -1
        if not 0 <= after <= MAX_NUMBER:
            raise BadRequest("after is a number, as the last line's")
        lines = await self.auth.sojourn.core.store.read_audit(
            after=after, subject=query.get("subject"), sid=query.get("sid")
        )
        return answer(
            {"lines": [{"number": line.number, **shown_record(line.record)} for line in lines]}
        )


def shown_account(account: Account) -> dict[str, Any]:
    """Describe an account to staff."""
    return {
        "subject": account.subject,
        "email": account.email,
        "roles": list(account.roles),
        "is_disabled": account.is_disabled,
        "created_at": account.created_at_ms // 1000,
    }


def shown_key(key: RingKey) -> dict[str, Any]:
    """Describe a signing key: what is public of it."""
    return {
        "kid": key.kid,
        "alg": key.alg,
        "created_at": key.created_at_ms // 1000,
        "signs_from": key.signs_from_ms // 1000,
        "signs_until": key.signs_until_ms // 1000,
        "dies_at": key.dies_at_ms // 1000,
    }


def shown_record(record: AuditRecord) -> dict[str, Any]:
    """Describe an audit record, leaving out what is empty."""
    return {name: value for name, value in msgspec.structs.asdict(record).items() if value != ""}
