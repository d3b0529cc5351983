"""`sojourn jwt issue` and `sojourn jwt key`: tokens and keys made at hand, for tests and tools."""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path
from typing import Any

import click

from sojourn.cli.commands import command
from sojourn.cli.files import write_new
from sojourn.cli.jwt_keys import ALGORITHMS, FILE, NO_TYP, signing_key
from sojourn.cli.output import Output, as_json
from sojourn.errors import ConfigurationError, InvalidInput, InvalidToken
from sojourn.jose import (
    AccessClaims,
    Algorithm,
    Expectation,
    KeySet,
    RegisteredClaims,
    SigningKey,
    jws,
    verify,
)
from sojourn.jose.expectation import ACCESS_TOKEN_TYP
from sojourn.jose.malformed import MalformedError
from sojourn.jose.strict_json import parse_object

DEFAULT_TTL_SECONDS = 900
MAX_TTL_SECONDS = 10 * 365 * 86_400


@command(
    "issue",
    "sojourn jwt issue --key private.pem --alg ES256 --issuer https://auth.example.com "
    "--subject ada --audience billing",
    "sojourn jwt issue --key private.jwk --issuer me --subject ada --audience me --ttl 60 "
    '--claims \'{"roles": ["admin"]}\'',
    "sojourn jwt issue --secret-file secret --alg HS256 --typ JWT --claims @claims.json",
)
@click.option("--key", "key_file", type=FILE, help="A private key: PEM or JWK.")
@click.option("--secret-file", type=FILE, help="The secret of HMAC, instead of a key.")
@click.option("--alg", type=ALGORITHMS, help="Its algorithm; needed with PEM or a secret.")
@click.option("--claims", "claims_text", metavar="JSON|@FILE", help="Claims as a JSON object.")
@click.option("--issuer", help="iss")
@click.option("--subject", help="sub")
@click.option("--audience", help="aud")
@click.option(
    "--ttl", type=click.IntRange(1, MAX_TTL_SECONDS),
    help=f"Seconds until exp.  [default: {DEFAULT_TTL_SECONDS}, unless the claims say]",
)  # fmt: skip
@click.option(
    "--typ", default=ACCESS_TOKEN_TYP, show_default=True, help=f"The header's typ, or '{NO_TYP}'."
)
def issue(
    output: Output,
    *,
    key_file: Path | None,
    secret_file: Path | None,
    alg: Algorithm | None,
    claims_text: str | None,
    issuer: str | None,
    subject: str | None,
    audience: str | None,
    ttl: int | None,
    typ: str,
) -> None:
    """Issue a token that a strict verifier takes; options win over --claims.

    iat, exp and jti are added by themselves. The token is a secret: it goes to stdout only.
    """
    key = signing_key(key=key_file, secret_file=secret_file, alg=alg)
    now = int(time.time())
    named = {"iss": issuer, "sub": subject, "aud": audience, "exp": ttl and now + ttl}
    claims = {
        "iat": now,
        "exp": now + DEFAULT_TTL_SECONDS,
        "jti": secrets.token_urlsafe(16),
        **_claims(claims_text),
        **{name: value for name, value in named.items() if value is not None},
    }
    token = jws.sign(as_json(claims).encode(), key, typ=None if typ == NO_TYP else typ)
    _require_acceptable(token, claims, key, typ)
    output.text({"token": token, "kid": key.kid, "alg": key.alg, "claims": claims}, token)


def _claims(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    raw = Path(text[1:]).read_bytes() if text.startswith("@") else os.fsencode(text)
    try:
        return parse_object(raw)
    except MalformedError as error:
        raise InvalidInput(
            f"--claims is no JSON object that a verifier would read ({error.reason})"
        ) from None


def _require_acceptable(token: str, claims: dict[str, Any], key: SigningKey, typ: str) -> None:
    """Refuse to hand out what a verifier would refuse: it is verified as one would."""
    missing = [name for name in ("iss", "sub", "aud") if not claims.get(name)]
    if missing:
        raise InvalidInput(
            f"a token needs {', '.join(missing)}; give --issuer, --subject and --audience, or "
            "name them in --claims"
        )
    audience = claims["aud"]
    wanted: Any = AccessClaims if typ == ACCESS_TOKEN_TYP else RegisteredClaims
    latest = max(v for v in (claims["iat"], claims.get("nbf", 0)) if type(v) is int)
    try:
        expectation = Expectation(
            issuer=claims["iss"],
            audience=audience[0] if isinstance(audience, list) else audience,
            algorithms=frozenset({key.alg}),
            typ=None if typ == NO_TYP else typ,
        )
        keys = KeySet([key.verifying])
        verify(token, keys, expectation, now=latest, claims_type=wanted)
    except InvalidToken as error:
        raise InvalidInput(f"a verifier would refuse this token: {error.reason}") from None
    except ConfigurationError as error:
        raise InvalidInput(f"a verifier could not expect this token: {error}") from None


@command(
    "key",
    "sojourn jwt key --alg ES256 --out private.pem --public-out public.pem",
    "sojourn jwt key --alg Ed25519 --jwk --out private.jwk",
    "sojourn jwt key --alg HS256 --jwk --out secret.jwk",
)
@click.option("--alg", type=ALGORITHMS, required=True, help="Its one algorithm.")
@click.option("--jwk", "is_jwk", is_flag=True, help="As JWK instead of PEM; HMAC has only this.")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path),
    help="A new file of mode 0600 for the private key, instead of stdout.",
)  # fmt: skip
@click.option(
    "--public-out", type=click.Path(dir_okay=False, path_type=Path),
    help="A new file for the public key.",
)  # fmt: skip
def key(
    output: Output, *, alg: Algorithm, is_jwk: bool, out: Path | None, public_out: Path | None
) -> None:
    """Make a signing key; the private one is a secret."""
    made = SigningKey.generate(alg)
    if not is_jwk and not made.verifying.is_public:
        raise click.UsageError(f"a secret for {alg} has no PEM form; add --jwk")
    private = as_json(made.to_jwk()) if is_jwk else made.to_pem().decode().rstrip()
    value: dict[str, Any] = {"kid": made.kid, "alg": made.alg}
    if made.verifying.is_public:
        public_jwk = made.verifying.to_jwk()
        public = as_json(public_jwk) if is_jwk else made.verifying.to_pem().decode().rstrip()
        value["public"] = public_jwk if is_jwk else public
        if public_out is not None:
            write_new(public_out, public + "\n", mode=0o644)
    elif public_out is not None:
        raise click.UsageError("a secret of HMAC has no public half; leave --public-out out")
    if out is not None:
        write_new(out, private + "\n")
        output.text({**value, "file": str(out)}, made.kid)
        output.say(f"the private key stands in {out}; whoever reads it can issue tokens")
    else:
        value["private"] = made.to_jwk() if is_jwk else private
        output.text(value, private)
