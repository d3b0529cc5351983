"""Tokens of other libraries, made by themselves: what is taken, and what is not."""

import base64
import json
import time
from datetime import timedelta

import jwt as pyjwt
import pytest
from doors.asking import DAY_MS, now_ms, variants, with_cookie
from fastapi_users.authentication import JWTStrategy
from flask import Flask
from flask_jwt_extended import JWTManager, create_access_token, create_refresh_token
from hypothesis import given, strategies as st
from jose import jwt as python_jose

from sojourn.doors.token_cookie import TokenCookie
from sojourn.doors.tokens import Tokens
from sojourn.errors import InvalidKey, SecurityWarning, StoreError
from sojourn.jose import SigningKey

SECRET = "the old secret of the tokens, long enough to be one"
DAY = 86_400


class User:
    def __init__(self, subject):
        self.id = subject


def flask_tokens(*, identity="7", fresh=True, **config):
    """Have Flask-JWT-Extended make a pair."""
    app = Flask("old")
    app.config.update(JWT_SECRET_KEY=SECRET, **config)
    JWTManager(app)
    with app.app_context():
        claims = {"plan": "pro", "roles": ["admin", "editor"]}
        access = create_access_token(identity, fresh=fresh, additional_claims=claims)
        return access, create_refresh_token(identity)


class In(int):
    """Seconds from when the token is made."""


def plain(**claims):
    """Make a token as somebody does who rolls their own."""
    now = int(time.time())
    whole = {
        name: now + value if isinstance(value, In) else value
        for name, value in {"sub": "ann", "exp": In(600), **claims}.items()
        if value is not None
    }
    return pyjwt.encode(whole, SECRET, algorithm="HS256")


def reader(**options):
    """Read such tokens."""
    return Tokens.plain(SECRET, algorithm="HS256", longest_seconds=DAY, **options)


def subject_of(tokens, text, **when):
    """Say whom an access token speaks of."""
    arrival = tokens.read_access(text, now_ms=now_ms(), **when)
    return arrival and arrival.subject


# --- each library's own ------------------------------------------------------------------------------


def test_flask_jwt_extended():
    """Subject, facts and freshness are taken; a refresh token is no access token, nor the reverse."""
    access, refresh = flask_tokens(JWT_DECODE_ISSUER="old", JWT_ENCODE_ISSUER="old")
    tokens = Tokens.flask_jwt_extended(SECRET, issuer="old", roles_claim="roles")
    arrival = tokens.read_access(access, now_ms=now_ms())
    assert ("7", {"plan": "pro"}) == (arrival.subject, arrival.claims)
    assert {"admin", "editor"} == arrival.roles
    assert abs(arrival.auth_time * 1000 - now_ms()) < 5_000
    assert tokens.read_refresh(access, now_ms=now_ms()) is None
    assert tokens.read_access(refresh, now_ms=now_ms()) is None
    exchanged = tokens.read_refresh(refresh, now_ms=now_ms())
    assert ("7", {}, None) == (exchanged.subject, exchanged.claims, exchanged.auth_time)
    assert exchanged.proof != arrival.proof
    assert subject_of(Tokens.flask_jwt_extended(SECRET, issuer="another"), access) is None


def test_flask_jwt_extended_in_other_words():
    """Another identity claim, a number as identity and CSRF values are no obstacle."""
    config = {
        "JWT_IDENTITY_CLAIM": "identity",
        "JWT_TOKEN_LOCATION": ["cookies"],
        "JWT_ALGORITHM": "HS512",
    }
    with pytest.warns(pyjwt.InsecureKeyLengthWarning):
        access, _ = flask_tokens(identity=7, fresh=timedelta(minutes=5), **config)
    with pytest.warns(SecurityWarning, match="51 bytes and HS512 needs 64"):
        tokens = Tokens.flask_jwt_extended(SECRET, algorithm="HS512", identity_claim="identity")
    arrival = tokens.read_access(access, now_ms=now_ms())
    assert (7, {"plan", "roles"}, None) == (arrival.subject, {*arrival.claims}, arrival.auth_time)


async def test_fastapi_users():
    """The audience is fastapi-users' own; there are no refresh tokens."""
    text = await JWTStrategy(SECRET, lifetime_seconds=3_600).write_token(User(7))
    tokens = Tokens.fastapi_users(SECRET, longest_seconds=3_600)
    arrival = tokens.read_access(text, now_ms=now_ms())
    assert ("7", {}) == (arrival.subject, arrival.claims)
    assert tokens.read_refresh(text, now_ms=now_ms()) is None
    reset = JWTStrategy(SECRET, lifetime_seconds=3_600, token_audience=["fastapi-users:reset"])
    assert subject_of(tokens, await reset.write_token(User(7))) is None
    own = Tokens.fastapi_users(SECRET, longest_seconds=3_600, audience="fastapi-users:reset")
    assert "7" == subject_of(own, await reset.write_token(User(7)))
    endless = await JWTStrategy(SECRET, lifetime_seconds=None).write_token(User(7))
    assert subject_of(tokens, endless) is None, "what never expires cannot be waited for"


@pytest.mark.parametrize("alg", ["RS256", "ES256", "PS384", "EdDSA"])
async def test_public_keys(alg):
    """A public key verifies by its one algorithm; PyJWT signed with the other half."""
    key = SigningKey.generate(alg)
    text = pyjwt.encode({"sub": "ann", "exp": int(time.time()) + 60}, key.to_pem(), algorithm=alg)
    public = key.verifying.to_pem().decode()
    assert "ann" == subject_of(Tokens.plain(public, algorithm=alg, longest_seconds=DAY), text)
    other = SigningKey.generate(alg).verifying
    tokens = Tokens.plain(other, algorithm=alg, older_keys=[public], longest_seconds=DAY)
    assert "ann" == subject_of(tokens, text), "the older of two keys"
    confused = pyjwt.encode({"sub": "eve", "exp": 2**40}, "x" * 64, algorithm="HS256")
    assert subject_of(tokens, confused) is None


def test_python_jose():
    """What python-jose signs is taken alike, with scopes in one text."""
    claims = {"sub": "ann", "exp": int(time.time()) + 60, "scope": "notes mail", "plan": "pro"}
    text = python_jose.encode(claims, SECRET, algorithm="HS256")
    arrival = reader(scopes_claim="scope").read_access(text, now_ms=now_ms())
    assert ({"notes", "mail"}, {"plan": "pro"}) == (arrival.scopes, arrival.claims)


# --- what is read strictly ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claims", "options"),
    [
        ({"exp": None}, {}),
        ({"exp": In(-1)}, {}),
        ({"exp": "tomorrow"}, {}),
        ({"exp": True}, {}),
        ({"exp": 2**60}, {}),
        ({"nbf": In(60)}, {}),
        ({"iat": In(60)}, {}),
        ({"iat": "now"}, {}),
        ({"sub": None}, {}),
        ({"sub": ""}, {}),
        ({"sub": True}, {}),
        ({"sub": 1.5}, {}),
        ({"sub": ["ann"]}, {}),
        ({"sub": "a" * 256}, {}),
        ({"aud": "billing"}, {}),
        ({}, {"audience": "billing"}),
        ({"aud": ["mail"]}, {"audience": "billing"}),
        ({}, {"issuer": "old"}),
        ({"iss": "older"}, {"issuer": "old"}),
        ({}, {"kind_claim": "type"}),
        ({"type": "refresh"}, {"kind_claim": "type"}),
        ({"type": ["access"]}, {"kind_claim": "type"}),
        ({}, {"only": "refresh"}),
        ({}, {"subject_claim": "user"}),
        ({}, {"is_revoked": set().__contains__}),
        ({"jti": ""}, {"is_revoked": set().__contains__}),
        ({"jti": "7"}, {"is_revoked": {"7"}.__contains__}),
    ],
)
def test_what_is_not_taken(claims, options):
    """A claim that is missing, wrong, or of another time, kind, issuer or audience is nobody's."""
    assert subject_of(reader(**options), plain(**claims)) is None


@pytest.mark.parametrize(
    ("claims", "options"),
    [
        ({}, {}),
        ({"exp": In(60), "iat": 1_700_000_000.5}, {}),
        ({"exp": In(-5)}, {"leeway_seconds": 30}),
        ({"iat": In(10)}, {"leeway_seconds": 30}),
        ({"iss": "anybody"}, {}),
        ({"aud": ["mail", "billing"]}, {"audience": "billing"}),
        ({"type": "access"}, {"kind_claim": "type"}),
        ({"jti": "7"}, {"is_revoked": set().__contains__}),
        ({"sub": 7}, {}),
    ],
)
def test_what_is_taken(claims, options):
    """Where old tokens are legally laxer than ours, they are taken."""
    assert claims.get("sub", "ann") == subject_of(reader(**options), plain(**claims))


def test_a_token_that_lives_too_long_is_not_believed(caplog):
    """It would outlive the memory of what was revoked."""
    text = plain(exp=int(time.time()) + DAY + 600)
    assert subject_of(reader(), text) is None
    assert "longest_seconds" in caplog.text
    assert text not in caplog.text


def test_tampered_tokens_are_refused():
    """Every single change of a token is nobody's."""
    text = plain(roles=["editor"])
    for changed in variants(text):
        assert reader().read_access(changed, now_ms=now_ms()) is None, changed


def test_algorithm_none_and_other_types():
    """Neither an unsigned token is taken nor one of another typ."""
    unsigned = pyjwt.encode({"sub": "eve", "exp": 2**33}, None, algorithm="none")
    assert subject_of(reader(), unsigned) is None
    claims = {"sub": "ann", "exp": int(time.time()) + 60}
    other = pyjwt.encode(claims, SECRET, algorithm="HS256", headers={"typ": "at+jwt"})
    assert subject_of(reader(), other) is None


@given(
    st.one_of(st.text(), st.binary().map(lambda b: base64.urlsafe_b64encode(b).decode() + ".e30.x"))
)
def test_hostile_tokens_never_raise(text):
    """Whatever is presented, the answer is nobody."""
    assert reader().read_access(text, now_ms=now_ms()) is None
    assert reader().read_refresh(text, now_ms=now_ms()) is None


def test_signed_bytes_that_are_no_claims():
    """A genuine signature over something else is nobody's either."""
    for payload in (b"[]", b"null", b'{"sub":"a","sub":"b"}', b"\xff", b"{" * 99):
        text = pyjwt.api_jws.encode(payload, SECRET, algorithm="HS256")
        assert reader().read_access(text, now_ms=now_ms()) is None


def test_a_blocklist_that_is_gone_is_a_failure():
    """Where it cannot be read whether a token was revoked, nobody is let in and nobody signed out."""

    def unreachable(jti):
        raise ConnectionError(jti)

    with pytest.raises(StoreError):
        reader(is_revoked=unreachable).read_access(plain(jti="7"), now_ms=now_ms())


# --- keys --------------------------------------------------------------------------------------------


def test_a_short_secret_is_warned_of_and_works():
    """People must be able to move: what was signed with "secret" is verified, with a warning."""
    with pytest.warns(pyjwt.InsecureKeyLengthWarning):
        text = pyjwt.encode({"sub": "ann", "exp": int(time.time()) + 60}, "secret")
    with pytest.warns(SecurityWarning, match="6 bytes") as caught:
        tokens = Tokens.plain("secret", algorithm="HS256", longest_seconds=DAY)
    assert "ann" == subject_of(tokens, text)
    assert '"secret"' not in str(caught[0].message)


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
@pytest.mark.parametrize("secret", ["", "  ", "public", "private"])
def test_what_is_no_secret_is_refused(alg, secret):
    """Empty is no secret, and a PEM is a mix-up of algorithms."""
    key = SigningKey.generate("ES256")
    pem = {"public": key.verifying.to_pem(), "private": key.to_pem()}
    text = pem[secret].decode() if secret in pem else secret
    with pytest.raises(InvalidKey):
        Tokens.plain(text, algorithm=alg, longest_seconds=DAY)


def test_a_key_of_another_algorithm_is_refused():
    """A public key is for its own algorithm, and a private one is not handed over at all."""
    key = SigningKey.generate("ES256")
    for wrong, alg in (
        (key.verifying.to_pem().decode(), "RS256"),
        (key.to_pem().decode(), "ES256"),
    ):
        with pytest.raises(InvalidKey):
            Tokens.plain(wrong, algorithm=alg, longest_seconds=DAY)
    with pytest.raises(InvalidKey, match="for ES256"):
        Tokens.plain(key.verifying, algorithm="ES384", longest_seconds=DAY)
    with pytest.raises(InvalidKey):
        Tokens.plain(SECRET, algorithm="none", longest_seconds=DAY)


# --- in cookies --------------------------------------------------------------------------------------


def test_a_refresh_token_in_a_cookie():
    """The refresh cookie carries its holder over, the access cookie beside it goes with it."""
    access, refresh = flask_tokens(JWT_TOKEN_LOCATION=["cookies"])
    tokens = Tokens.flask_jwt_extended(SECRET)
    door = TokenCookie(tokens, "refresh_token_cookie", beside=["access_token_cookie"])
    arrival = door.knock(with_cookie("refresh_token_cookie", refresh), now_ms=now_ms())
    assert "7" == arrival.subject
    assert tokens.read_refresh(refresh, now_ms=now_ms()).proof == arrival.proof
    names = [each.partition("=")[0] for each in arrival.remove_cookies]
    assert ["refresh_token_cookie", "access_token_cookie"] == names
    assert door.knock(with_cookie("refresh_token_cookie", access), now_ms=now_ms()) is None
    assert door.knock(with_cookie("another", refresh), now_ms=now_ms()) is None
    assert (door.name, door.longest_seconds) == ("flask_jwt_extended", 30 * DAY)
    assert door.close_behind(arrival, after_seconds=0) is None


async def test_an_access_token_that_is_the_sign_in():
    """With fastapi-users' cookie transport there is only the access token."""
    text = await JWTStrategy(SECRET, lifetime_seconds=3_600).write_token(User(7))
    tokens = Tokens.fastapi_users(SECRET, longest_seconds=3_600)
    door = TokenCookie(tokens, "fastapiusersauth", kind="access", is_secure=True)
    request = with_cookie("fastapiusersauth", text)
    arrival = door.knock(request, now_ms=now_ms())
    assert "7" == arrival.subject
    assert arrival.remove_cookies[0].endswith("; Secure")
    assert door.knock(request, now_ms=now_ms() + DAY_MS) is None


def test_the_payload_is_what_was_signed():
    """The proof is the signed text, so that a second signature of the same is no second proof."""
    text = plain()
    arrival = reader().read_access(text, now_ms=now_ms())
    payload = base64.urlsafe_b64decode(arrival.proof.split(".")[1] + "==")
    assert "ann" == json.loads(payload)["sub"]
    assert arrival.proof + "." + text.rsplit(".", 1)[1] == text
