"""A small site with pages: sign in and out, a page per role, a basket for visitors, and a purge.

pip install '/path/to/sojourn[starlette]' argon2-cffi python-multipart uvicorn
uvicorn starlette_pages:app     # then open http://127.0.0.1:8000, not localhost
"""

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from html import escape
from urllib.parse import urlencode

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from sojourn import InvalidCredentials, Refused, StoreError, Unauthenticated
from sojourn.starlette import Auth, incoming_of

log = logging.getLogger(__name__)
auth = Auth("sqlite:///app.db", mode="session", url="http://127.0.0.1:8000")
PURGE_SECONDS = 300
SIGN_IN_FIRST = 401

# --- the accounts: yours are in your database ---------------------------------------------------


@dataclass(frozen=True)
class User:
    password_hash: str
    roles: frozenset[str]


HASHER = PasswordHasher()  # Argon2id
USERS = {
    "ann": User(HASHER.hash("seven unrelated words"), frozenset({"editor", "admin"})),
    "bob": User(HASHER.hash("another few words here"), frozenset({"editor"})),
}
HASH_OF_NOBODY = HASHER.hash("a name that is not there takes as long as a wrong password")


def is_password_of(user: User | None, password: str) -> bool:
    try:
        HASHER.verify(user.password_hash if user else HASH_OF_NOBODY, password)
    except VerificationError:
        return False
    return user is not None


# --- HTML ---------------------------------------------------------------------------------------


def page(request: Request, title: str, body: str, status: int = 200) -> HTMLResponse:
    who = (
        f"{escape(request.user.identity)} {button('/logout', 'Sign out')}"
        if request.user.is_authenticated
        else '<a href="/login">Sign in</a>'
    )
    links = " · ".join(f'<a href="/{name}">{name}</a>' for name in ("account", "drafts", "admin"))
    return HTMLResponse(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<nav><a href="/">home</a> · {links} · {who}</nav><h1>{escape(title)}</h1>{body}',
        status_code=status,
        headers={"Cache-Control": "no-store"},  # nothing to go back to after signing out
    )


def button(path: str, text: str) -> str:
    return f'<form method="post" action="{path}" style="display: inline"><button>{text}</button></form>'


def see(path: str) -> RedirectResponse:
    return RedirectResponse(path, status_code=303)


# --- signing in and out -------------------------------------------------------------------------


def safe_next(text: str) -> str:
    """Only a path of this site: `//evil.example` and `/\\evil.example` lead elsewhere."""
    return text if re.fullmatch(r"/(?!/)[!-\[\]-~]*", text) else "/"


def login_page(
    request: Request, next_path: str, name: str = "", why: str = "", status: int = 200
) -> HTMLResponse:
    form = (
        f'<p role="alert">{escape(why)}</p><form method="post" action="/login">'
        f'<label>Name <input name="name" value="{escape(name)}" autocomplete="username"></label>'
        '<label>Password <input name="password" type="password" autocomplete="current-password">'
        f'</label><input name="next" type="hidden" value="{escape(next_path)}">'
        "<button>Sign in</button></form>"
    )
    return page(request, "Sign in", form, status)


async def show_login(request: Request) -> Response:
    why = ""
    try:
        await auth.current(request)
    except Unauthenticated:
        pass  # a visitor
    except Refused as error:
        why = str(error)  # as "the session was ended: you signed out everywhere"
    return login_page(request, safe_next(request.query_params.get("next", "/")), why=why)


async def login(request: Request) -> Response:
    form = await request.form()
    name, password = str(form.get("name", "")), str(form.get("password", ""))
    next_path = safe_next(str(form.get("next", "/")))
    user = USERS.get(name)
    attempt = await auth.begin(name if user else "nobody")  # before the password is checked
    is_right = await run_in_threadpool(is_password_of, user, password)  # it takes a while
    try:
        if user is None or not is_right:
            known = name if user else ""
            await auth.sojourn.login_failed(incoming_of(request), known, reason="wrong_password")
            raise InvalidCredentials("the name and the password do not belong together")
        await auth.login(
            request, name, attempt=attempt, roles=user.roles, amr=["pwd"], carry=["basket"]
        )
    except Refused as error:
        return login_page(request, next_path, name, why=str(error), status=error.status)
    return see(next_path)


async def logout(request: Request) -> Response:
    await auth.logout(request)
    return see("/")


async def logout_others(request: Request) -> Response:
    await auth.logout_others(request)
    return see("/account")


async def logout_all(request: Request) -> Response:
    await auth.logout_all(request)
    return see("/")


async def refused(request: Request, error: Refused) -> Response:
    """Lead to the sign-in whoever has to sign in, and tell the others why not."""
    if error.status != SIGN_IN_FIRST:
        return page(request, "Not for you", f"<p>{escape(str(error))}</p>", error.status)
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    next_path = wanted if request.method == "GET" else "/"
    return see(f"/login?{urlencode({'next': next_path})}")


# --- the pages ----------------------------------------------------------------------------------


@auth.session_data
async def home(request: Request) -> Response:
    items = "".join(f"<li>{escape(item)}</li>" for item in request.session.get("basket", []))
    form = '<form method="post" action="/basket"><input name="item"><button>Add</button></form>'
    return page(request, "Basket", f"<ul>{items}</ul>{form}")


@auth.session_data
async def add_to_basket(request: Request) -> Response:
    item = str((await request.form()).get("item", ""))[:100]
    request.session.setdefault("basket", []).append(item)
    return see("/")


@auth.requires
async def account(request: Request) -> Response:
    devices = "".join(
        f"<li>{escape(info.user_agent)} at {escape(info.address)}</li>"
        for info in await auth.sojourn.sessions(request.user.identity)
    )
    others = button("/logout-others", "Sign out everywhere else")
    everywhere = button("/logout-all", "Sign out everywhere")
    return page(request, "Your account", f"<ul>{devices}</ul>{others} {everywhere}")


@auth.requires(roles={"editor"})
async def drafts(request: Request) -> Response:
    return page(request, "Drafts", "<p>for editors</p>")


@auth.requires(roles={"admin"})
async def admin(request: Request) -> Response:
    return page(request, "Administration", "<p>for administrators</p>")


# --- the application ----------------------------------------------------------------------------


async def purge_now_and_then() -> None:
    while True:
        try:
            await auth.sojourn.purge()  # expired rows go by nothing else
        except StoreError as error:
            log.warning("removing what is dead failed, trying again later: %s", error)
        await asyncio.sleep(PURGE_SECONDS)


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    purging = asyncio.create_task(purge_now_and_then())
    yield
    purging.cancel()
    with suppress(asyncio.CancelledError):
        await purging


app = Starlette(
    routes=[
        Route("/", home),
        Route("/basket", add_to_basket, methods=["POST"]),
        Route("/login", show_login),
        Route("/login", login, methods=["POST"]),
        Route("/logout", logout, methods=["POST"]),
        Route("/logout-others", logout_others, methods=["POST"]),
        Route("/logout-all", logout_all, methods=["POST"]),
        Route("/account", account),
        Route("/drafts", drafts),
        Route("/admin", admin),
    ],
    exception_handlers={Refused: refused},
    lifespan=lifespan,
)
auth.install(app)  # around the lifespan above: the store is open in it
