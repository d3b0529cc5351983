"""`Guard`: who may do what, as FastAPI's dependencies; `Auth` adds signing in and out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, Unpack, cast

from fastapi import Depends
from starlette.requests import HTTPConnection

from sojourn import starlette
from sojourn.aio import AsyncSojourn
from sojourn.asgi.guard import NeedOptions
from sojourn.asgi.scope import Connection, state_of
from sojourn.fastapi.schemes import Shown, bearer, cookie
from sojourn.model import ClaimsT, Principal
from sojourn.modes import MODES
from sojourn.need import Need

if TYPE_CHECKING:
    from sojourn.verifier import AsyncVerifier

Dependency = Callable[..., Awaitable[Any]]
