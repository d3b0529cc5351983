"""`sojourn jwt`: look into tokens, verify them, and (in `jwt_make`) issue them and make keys."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sojourn.cli.commands import command
from sojourn.cli.jwt_keys import ALGORITHMS, FILE, NO_TYP, verifying_keys
from sojourn.cli.jwt_make import issue, key
from sojourn.cli.output import Output, as_json, instant
from sojourn.errors import InvalidToken
from sojourn.jose import (
    AccessClaims,
    Algorithm,
    Expectation,
    RegisteredClaims,
    inspect as look_into,
    verify as verify_token,
)
from sojourn.jose.expectation import ACCESS_TOKEN_TYP, MAX_LEEWAY_SECONDS
from sojourn.jose.jws import media_type

if TYPE_CHECKING:
    from sojourn.jose import Unverified

MAX_READ_BYTES = 64 * 1024
_INSTANTS = {"iat": "issued", "nbf": "not before", "exp": "expires", "auth_time": "signed in"}
STDIN = Path("-")
token_argument = click.argument(
    "token_file", metavar="[FILE]", default=str(STDIN),
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
)  # fmt: skip


@command(
    "inspect",
    "sojourn jwt inspect token.txt",
    "wl-paste | sojourn jwt inspect",
    "sojourn jwt inspect token.txt --json | jq .claims",
)
@token_argument
def inspect(output: Output, *, token_file: Path) -> None:
    """Show what a token says about itself, from a file or stdin. Nothing is verified."""
    token = _read_token(output, token_file)
    seen = look_into(token)
    value = {
        "verified": False,
        "header": seen.unverified_header,
        "claims": seen.unverified_claims,
        "problems": list(seen.problems),
    }
    output.text(value, "\n".join(_described(seen)))


def _described(seen: Unverified) -> list[str]:
    lines = ["NOT VERIFIED: anybody could have written this.", ""]
    lines += ["header", as_json(seen.unverified_header, is_indented=True), ""]
    lines += ["claims", as_json(seen.unverified_claims, is_indented=True)]
    times = [
        f"{told}: {instant(value)}"
        for name, told in _INSTANTS.items()
        if type(value := seen.unverified_claims.get(name)) is int
    ]
    lines += ["", *times] if times else []
    return [*lines, "", "problems: " + ", ".join(seen.problems)] if seen.problems else lines


@command(
    "verify",
    "sojourn jwt verify token.txt --key jwks.json --issuer https://auth.example.com "
    "--audience https://auth.example.com",
    "sojourn jwt verify token.txt --key public.pem --alg ES256 --issuer https://a.example "
    "--audience billing",
    "cat token.txt | sojourn jwt verify --secret-file secret --alg HS256 --issuer me "
    "--audience me --typ JWT",
)
@token_argument
@click.option("--key", "key_file", type=FILE, help="PEM, JWK or JWK Set.")
@click.option("--secret-file", type=FILE, help="The secret of HMAC, instead of a key.")
@click.option("--alg", "algs", type=ALGORITHMS, multiple=True, help="Needed with PEM or a secret.")
@click.option("--issuer", required=True, help="The exact iss.")
@click.option("--audience", required=True, help="The exact aud, or one of them.")
@click.option(
    "--typ", default=ACCESS_TOKEN_TYP, show_default=True,
    help=f"The header's typ; JWT at many issuers, '{NO_TYP}' where there is none.",
)  # fmt: skip
@click.option(
    "--leeway", type=click.IntRange(0, MAX_LEEWAY_SECONDS), default=0, show_default=True,
    help="Seconds by which clocks may differ.",
)  # fmt: skip
def verify(
    output: Output,
    *,
    token_file: Path,
    key_file: Path | None,
    secret_file: Path | None,
    algs: tuple[Algorithm, ...],
    issuer: str,
    audience: str,
    typ: str,
    leeway: int,
) -> None:
    """Verify a token, from a file or stdin, by keys at hand; exit 1 and the reason if it is not valid.

    With the typ at+jwt the claims of an access token (RFC 9068) are demanded. A token that was
    revoked is still valid here: only its issuer, or a verifier that follows the feed, knows.
    """
    token = _read_token(output, token_file)
    seen = look_into(token)
    kid = seen.unverified_header.get("kid")
    keys = verifying_keys(
        key=key_file,
        secret_file=secret_file,
        algs=algs,
        kid=kid if isinstance(kid, str) and kid else None,
    )
    expectation = Expectation(
        issuer=issuer,
        audience=audience,
        algorithms=frozenset(each.alg for each in keys),
        typ=None if typ == NO_TYP else typ,
        leeway_seconds=leeway,
    )
    wanted: Any = AccessClaims if media_type(typ) == ACCESS_TOKEN_TYP else RegisteredClaims
    verify_token(token, keys, expectation, now=time.time(), claims_type=wanted)
    # Verified as a whole just now, so what was only looked at is what was signed.
    value = {"verified": True, "header": seen.unverified_header, "claims": seen.unverified_claims}
    output.text(value, as_json(seen.unverified_claims, is_indented=True))
    output.say("valid")


def _read_token(output: Output, file: Path) -> str:
    if file == STDIN:
        if sys.stdin.isatty():
            output.say("paste the token, then Enter and Ctrl-D")
        read = sys.stdin.buffer.read(MAX_READ_BYTES + 1)
    else:
        with file.open("rb") as opened:
            read = opened.read(MAX_READ_BYTES + 1)
    try:
        token = read.decode("ascii").strip()
    except UnicodeDecodeError:
        raise InvalidToken("that is no token", reason="not_ascii") from None
    if not token:
        raise click.UsageError("no token was given; name a file, or pipe it in")
    return token


jwt = click.Group(
    "jwt",
    commands=[inspect, verify, issue, key],
    help="Tokens: inspect, verify and issue them; make keys.",
)
