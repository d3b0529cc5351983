"""Keys for `sojourn jwt` from files: PEM, JWK, JWK Set, or a shared secret."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import click

from sojourn.errors import ConfigurationError, InvalidKey
from sojourn.jose import Algorithm, KeySet, SigningKey, VerifyingKey
from sojourn.jose.algorithms import PUBLIC
from sojourn.jose.keyset import MAX_JWKS_BYTES
from sojourn.jose.malformed import MalformedError
from sojourn.jose.strict_json import parse_object

ALGORITHMS = click.Choice(get_args(Algorithm))
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
NO_TYP = "none"
"""Stands on the command line for a header without ``typ``."""
_PEM = b"-----BEGIN "
_PRIVATE_PEM = b"PRIVATE KEY-----"
_PRIVATE_MEMBER = "d"


def verifying_keys(
    *, key: Path | None, secret_file: Path | None, algs: tuple[Algorithm, ...], kid: str | None
) -> KeySet:
    """Load the keys that may have signed a token.

    Args:
        key: A file of a PEM key, a JWK or a JWK Set; private keys serve too.
        secret_file: A file of the secret of HMAC, instead.
        algs: The algorithms allowed; for PEM and a secret exactly one.
        kid: What the token names: a single key is meant whatever its own name is.

    Raises:
        UsageError: Neither or both are given, or the algorithm is missing.
        InvalidKey: The file holds no such key.
    """
    if secret_file is not None or key is None:
        secret, alg = _secret(key, secret_file), _one_of(algs, "a secret")
        return KeySet([SigningKey.from_secret(secret, alg=alg, kid=kid).verifying])
    text = _read(key)
    if _PEM in text:
        alg = _one_of(algs, "a PEM key")
        if _PRIVATE_PEM in text:
            return KeySet([SigningKey.from_pem(text, alg=alg, kid=kid).verifying])
        return KeySet([VerifyingKey.from_pem(text, alg=alg, kid=kid)])
    members = _members(text)
    if "keys" in members:
        keys = KeySet.from_jwks(members, algorithms=frozenset(algs) or PUBLIC)
        if not len(keys):
            raise InvalidKey("no key of this set can be used; name the algorithm with --alg")
        return keys
    named = members if kid is None else {**members, "kid": kid}
    alg_or_own = _one_of(algs, "a key") if algs else None
    if _PRIVATE_MEMBER in members:
        return KeySet([SigningKey.from_jwk(named, alg=alg_or_own).verifying])
    return KeySet([VerifyingKey.from_jwk(named, alg=alg_or_own)])


def signing_key(*, key: Path | None, secret_file: Path | None, alg: Algorithm | None) -> SigningKey:
    """Load the key that signs.

    Args:
        key: A file of a private PEM key or JWK.
        secret_file: A file of the secret of HMAC, instead.
        alg: Its algorithm; a JWK may say it itself.

    Raises:
        UsageError: Neither or both are given, or the algorithm is missing.
        InvalidKey: The file holds no such key.
    """
    algs = () if alg is None else (alg,)
    if secret_file is not None or key is None:
        return SigningKey.from_secret(_secret(key, secret_file), alg=_one_of(algs, "a secret"))
    text = _read(key)
    if _PEM in text:
        return SigningKey.from_pem(text, alg=_one_of(algs, "a PEM key"))
    return SigningKey.from_jwk(_members(text), alg=alg)


def _one_of(algs: tuple[Algorithm, ...], what: str) -> Algorithm:
    if len(algs) != 1:
        raise click.UsageError(f"{what} is for one algorithm; name it with --alg")
    return algs[0]


def _secret(key: Path | None, secret_file: Path | None) -> bytes:
    if secret_file is None or key is not None:
        raise click.UsageError("give either --key or --secret-file")
    return _read(secret_file).removesuffix(b"\n").removesuffix(b"\r")


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        text = file.read(MAX_JWKS_BYTES + 1)
    if len(text) > MAX_JWKS_BYTES:
        raise ConfigurationError(f"{path} is too large for a key; give another file")
    return text


def _members(text: bytes) -> Mapping[str, Any]:
    try:
        return parse_object(text)
    except MalformedError as error:
        raise InvalidKey(
            f"the file is neither PEM nor a JWK or JWK Set ({error.reason}); a secret of HMAC "
            "goes with --secret-file"
        ) from None
