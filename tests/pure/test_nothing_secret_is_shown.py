"""No repr, str or message of a value or an error holds a secret (security.md, section 3)."""

import base64
import os
import traceback

import msgspec
import pytest
from pure.samples import (
    NOW_MS,
    RAW_SECRET,
    SECRET,
    SECRETS,
    SEED,
    SID,
    some_session,
    some_settings,
    some_tombstone,
)

from sojourn.browser import Browser
from sojourn.cookies import read_cookies, write_cookie
from sojourn.environment import secrets_from
from sojourn.errors import ExpiredToken, SojournError
from sojourn.handles import mint, parse
from sojourn.keyring import Ring, make_key, unseal
from sojourn.messages import Incoming
from sojourn.model import Purpose
from sojourn.passwords import new_password, normal_email, normal_password
from sojourn.server_secret import ServerSecret, ServerSecrets

HANDLE = mint(SECRET, purpose=Purpose.SESSION, sid=SID, generation=1, seed=SEED)
TOKEN = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"
PASSWORD = "hunter2 hunter2 hunter2"


def in_every_spelling(secret: bytes):
    """How a secret could come to be shown: as bytes, hex, base64, or text."""
    yield repr(secret)[2:-1]
    yield secret.hex()
    yield base64.b64encode(secret).decode().rstrip("=")
    yield base64.urlsafe_b64encode(secret).decode().rstrip("=")


MAC = parse(HANDLE).mac
SEALED = make_key(
    some_settings(), SECRET, signs_from_ms=0, now_ms=0, longest_token_ms=0, nonce=os.urandom(12)
)
FORBIDDEN = [
    RAW_SECRET,
    HANDLE,
    HANDLE[38:80],
    TOKEN,
    PASSWORD,
    "c2lnbmF0dXJl",
    unseal([SEALED], SECRETS)[0].to_jwk()["d"],
    *(
        text
        for secret in (SEED, MAC, SECRET.handle_key, SECRET.sealing_key)
        for text in in_every_spelling(secret)
    ),
]
BROWSER = Browser(some_settings())
INCOMING = Incoming.of(
    "POST",
    [
        (b"cookie", f"__Host-sojourn={HANDLE}; __Host-sojourn-access={TOKEN}".encode()),
        (b"authorization", f"Bearer {TOKEN}".encode()),
    ],
)
VALUES = {
    "handle": parse(HANDLE),
    "session": some_session(claims={"token": TOKEN}),
    "tombstone": some_tombstone(),
    "server secret": SECRET,
    "server secrets": SECRETS,
    "ring key": SEALED,
    "ring": Ring((SEALED,)),
    "signing keys": unseal([SEALED], SECRETS),
    "request": INCOMING,
    "bearer": BROWSER.credentials(INCOMING),
    "bearer handle": BROWSER.credentials(Incoming(authorization=f"Bearer {HANDLE}")),
    "cookies": BROWSER.credentials(Incoming(cookies=INCOMING.cookies)),
    "found cookies": read_cookies(INCOMING.cookies, BROWSER.names.every),
    "answer": BROWSER.set_cookies({BROWSER.names.handle: HANDLE}, max_age_seconds=60),
    "browser": BROWSER,
    "expired token": ExpiredToken(claims={"token": TOKEN}),
}


@pytest.mark.parametrize("name", VALUES)
def test_values(name):
    """Whatever is logged by accident, or shown by an error reporter's locals, is harmless."""
    value = VALUES[name]
    shown = f"{value!r} {value!s} {[value]} { ({'x': value}) }"
    assert [text for text in FORBIDDEN if text in shown] == []


@pytest.mark.parametrize(
    "act",
    [
        lambda: ServerSecret(RAW_SECRET[:31]),
        lambda: ServerSecrets([RAW_SECRET, RAW_SECRET[:31]]),
        lambda: secrets_from(
            None,
            is_development=False,
            is_kept=True,
            environ={"SOJOURN_SECRET": f"{RAW_SECRET[:31]} {RAW_SECRET}"},
        ),
        lambda: ServerSecret(RAW_SECRET + "\udcff"),
        lambda: unseal([SEALED], ServerSecrets(RAW_SECRET[::-1])),
        lambda: unseal([msgspec.structs.replace(SEALED, sealed=SEALED.sealed[::-1])], SECRETS),
        lambda: write_cookie("n", f"{TOKEN};", secure=True, same_site="lax", max_age_seconds=1),
        lambda: write_cookie(
            "n", f"{TOKEN}{HANDLE * 60}", secure=True, same_site="lax", max_age_seconds=1
        ),
        lambda: new_password(PASSWORD[:14], email="a@example.com"),
        lambda: new_password(PASSWORD, email=f"{PASSWORD}@example.com"),
        lambda: normal_password(PASSWORD * 20),
        lambda: normal_password(PASSWORD + "\x00"),
        lambda: normal_email(PASSWORD),
    ],
)
def test_errors(act):
    """No message holds what was refused, nor does the chain of causes behind it."""
    with pytest.raises(SojournError) as caught:
        act()
    shown = repr(caught.value)
    error = caught.value
    while error is not None:
        shown += str(error) + "".join(traceback.format_exception_only(error))
        error = error.__cause__ or error.__context__
    parts = [*FORBIDDEN, RAW_SECRET[:31], PASSWORD[:14]]
    assert [text for text in parts if text in shown] == []


def test_the_sample_is_alive():
    """The values above really hold the secrets they must not show."""
    assert (VALUES["handle"].mac, VALUES["session"].seed) == (MAC, SEED)
    assert VALUES["bearer"].access == TOKEN
    assert VALUES["bearer handle"].handle == HANDLE
    assert VALUES["cookies"].access == TOKEN
    assert VALUES["found cookies"].values["__Host-sojourn"] == HANDLE
    assert HANDLE in VALUES["answer"].headers[0][1]
    assert VALUES["session"].created_at_ms == NOW_MS
