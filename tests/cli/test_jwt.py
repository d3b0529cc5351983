from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from cli.programs import Cli, problem

from sojourn.jose import KeySet, SigningKey

WHO = ("--issuer", "me", "--audience", "them")


@pytest.fixture
def pem(cli: Cli) -> Path:
    """Make key.pem and public.pem for ES256."""
    made = cli("jwt", "key", "--alg", "ES256", "--out", "key.pem", "--public-out", "public.pem")
    assert made.exit_code == 0, made.stderr
    return Path("key.pem")


def _issued(cli: Cli, *args: object) -> str:
    issued = cli("jwt", "issue", *WHO, "--subject", "ada", *args)
    assert issued.exit_code == 0, issued.stderr
    token: str = issued.stdout.strip()
    return token


def _pem(*more: str) -> tuple[str, ...]:
    return ("--key", "key.pem", "--alg", "ES256", *more)


def test_inspect_says_that_nothing_is_verified(cli: Cli, pem: Path) -> None:
    """Inspecting never vouches: words and JSON say so, from a file and from stdin."""
    token = _issued(cli, *_pem())
    Path("token").write_text(token + "\n")
    for shown in (cli("jwt", "inspect", "token"), cli("jwt", "inspect", stdin=token)):
        assert shown.exit_code == 0
        assert shown.stdout.startswith("NOT VERIFIED")
        assert "expires: " in shown.stdout
    document = json.loads(cli("jwt", "inspect", "token", "--json").stdout)
    assert document["verified"] is False
    assert document["claims"]["sub"] == "ada"
    assert document["header"]["alg"] == "ES256"
    assert document["problems"] == []


def test_inspect_names_what_is_wrong(cli: Cli) -> None:
    """A token that no verifier would take is shown all the same, with the reasons."""
    unsigned = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEifQ."
    document = json.loads(cli("jwt", "inspect", "--json", stdin=unsigned).stdout)
    assert {"alg_not_allowed", "no_signature", "missing_iss"} <= set(document["problems"])
    assert "problems: " in cli("jwt", "inspect", stdin=unsigned).stdout


@pytest.mark.parametrize(
    ("stdin", "exit_code", "reason"),
    [
        ("abc", 1, "not_three_segments"),
        ("é.é.é", 1, "not_ascii"),
        ("a.b.c", 1, None),
        ("", 2, None),
    ],
)
def test_inspect_what_is_no_token(cli: Cli, stdin: str, exit_code: int, reason: str | None) -> None:
    """What is no token is a negative answer with a reason; nothing at all is wrong usage."""
    refused = cli("jwt", "inspect", "--json", stdin=stdin)
    assert refused.exit_code == exit_code
    if reason:
        assert problem(refused.stderr)["reason"] == reason


def test_verify_with_each_form_of_key(cli: Cli, pem: Path) -> None:
    """PEM, private PEM, JWK, private JWK and JWK Set all verify."""
    token = _issued(cli, *_pem())
    key = SigningKey.from_pem(pem.read_bytes(), alg="ES256")
    Path("private.jwk").write_text(json.dumps(key.to_jwk()))
    Path("public.jwk").write_text(json.dumps(key.verifying.to_jwk()))
    Path("jwks.json").write_text(json.dumps(KeySet([key.verifying]).to_jwks()))
    for args in (
        _pem(),
        ("--key", "public.pem", "--alg", "ES256"),
        ("--key", "private.jwk"),
        ("--key", "public.jwk"),
        ("--key", "jwks.json"),
        ("--key", "jwks.json", "--alg", "ES256", "--alg", "RS256"),
    ):
        verified = cli("jwt", "verify", *WHO, *args, "--json", stdin=token)
        assert verified.exit_code == 0, (args, verified.stderr)
        document = json.loads(verified.stdout)
        assert document["verified"] is True
        assert document["claims"]["aud"] == "them"
    plain = cli("jwt", "verify", *WHO, *_pem(), stdin=token)
    assert json.loads(plain.stdout)["sub"] == "ada"
    assert plain.stderr == "valid\n"


def test_verify_by_a_shared_secret(cli: Cli) -> None:
    """HMAC takes the secret from a file, with or without a line end."""
    Path("secret").write_text("a shared secret of more than 32 bytes\n")
    by_secret = ("--secret-file", "secret", "--alg", "HS256")
    token = _issued(cli, *by_secret, "--typ", "JWT")
    assert cli("jwt", "verify", *WHO, *by_secret, "--typ", "JWT", stdin=token).exit_code == 0
    Path("secret").write_text("another secret of more than 32 bytes")
    refused = cli("jwt", "verify", *WHO, *by_secret, "--typ", "JWT", "--json", stdin=token)
    assert refused.exit_code == 1
    assert problem(refused.stderr)["reason"] == "bad_signature"


def test_verify_a_token_of_another_kid(cli: Cli, pem: Path) -> None:
    """One key in PEM is meant whatever name the token gives it; a set goes by names."""
    key = SigningKey.from_pem(pem.read_bytes(), alg="ES256", kid="their-name")
    Path("named.jwk").write_text(json.dumps(key.to_jwk()))
    token = _issued(cli, "--key", "named.jwk")
    assert cli("jwt", "verify", *WHO, *_pem(), stdin=token).exit_code == 0
    other = SigningKey.from_pem(pem.read_bytes(), alg="ES256", kid="another")
    Path("jwks.json").write_text(json.dumps(KeySet([other.verifying]).to_jwks()))
    refused = cli("jwt", "verify", *WHO, "--key", "jwks.json", "--json", stdin=token)
    assert problem(refused.stderr)["reason"] == "unknown_kid"


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (("--issuer", "other", "--audience", "them"), "wrong_issuer"),
        (("--issuer", "me", "--audience", "other"), "wrong_audience"),
        ((*WHO, "--typ", "JWT"), "wrong_typ"),
        ((*WHO, "--typ", "none"), "wrong_typ"),
    ],
)
def test_verify_gives_the_reason(cli: Cli, pem: Path, args: tuple[str, ...], reason: str) -> None:
    """A token that is not valid ends with 1 and the reason word, in words and in JSON."""
    token = _issued(cli, *_pem())
    refused = cli("jwt", "verify", *_pem(), *args, "--json", stdin=token)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert problem(refused.stderr)["reason"] == reason
    assert f"({reason})" in cli("jwt", "verify", *_pem(), *args, stdin=token).stderr


def test_verify_what_is_over(cli: Cli, pem: Path) -> None:
    """An expired token is told apart, and leeway is honoured."""
    past = int(time.time()) - 30
    claims = json.dumps({"iat": past - 10, "exp": past})
    token = _issued(cli, *_pem(), "--claims", claims)
    refused = cli("jwt", "verify", *WHO, *_pem(), "--json", stdin=token)
    assert refused.exit_code == 1
    told = problem(refused.stderr)
    assert (told["code"], told["reason"]) == ("expired", "expired")
    assert cli("jwt", "verify", *WHO, *_pem(), "--leeway", "60", stdin=token).exit_code == 0


@pytest.mark.parametrize(
    ("args", "exit_code"),
    [
        ((), 2),
        (("--key", "public.pem"), 2),
        (("--key", "public.pem", "--alg", "none"), 2),
        (("--key", "public.pem", "--alg", "ES256", "--secret-file", "public.pem"), 2),
        (("--key", "missing.pem", "--alg", "ES256"), 2),
        (("--key", "public.pem", "--alg", "ES256", "--leeway", "61"), 2),
        (("--key", "public.pem", "--alg", "RS256"), 3),
        (("--secret-file", "public.pem", "--alg", "HS256"), 3),
        (("--key", "garbage"), 3),
        (("--key", "empty.jwks"), 3),
        (("--key", "large"), 3),
    ],
)
def test_verify_needs_a_key_for_one_algorithm(
    cli: Cli, pem: Path, args: tuple[str, ...], exit_code: int
) -> None:
    """Which key and which algorithm is never left to the token; a public key is no secret."""
    token = _issued(cli, *_pem())
    Path("garbage").write_text("no key")
    Path("empty.jwks").write_text('{"keys": []}')
    Path("large").write_bytes(b" " * 300_000)
    assert cli("jwt", "verify", *WHO, *args, stdin=token).exit_code == exit_code


def test_issue_with_claims(cli: Cli, pem: Path) -> None:
    """Claims come as JSON or from a file; options win; iat, exp and jti are added."""
    claims: dict[str, Any] = {"sub": "bob", "roles": ["admin"], "https://example.com/x": 1}
    Path("claims.json").write_text(json.dumps(claims))
    for given in (json.dumps(claims), "@claims.json"):
        issued = cli(
            "jwt", "issue", *WHO, "--subject", "ada", "--ttl", "60", *_pem(), "--claims", given,
            "--json",
        )  # fmt: skip
        document = json.loads(issued.stdout)
        token = document["token"]
        assert document["claims"] == {
            **claims,
            "iss": "me",
            "aud": "them",
            "sub": "ada",
            "iat": document["claims"]["iat"],
            "exp": document["claims"]["iat"] + 60,
            "jti": document["claims"]["jti"],
        }
        assert cli("jwt", "verify", *WHO, *_pem(), stdin=token).exit_code == 0


def test_issue_without_typ(cli: Cli, pem: Path) -> None:
    """`--typ none` leaves the header's typ out."""
    token = _issued(cli, *_pem("--typ", "none"))
    shown = json.loads(cli("jwt", "inspect", "--json", stdin=token).stdout)
    assert "typ" not in shown["header"]
    assert cli("jwt", "verify", *WHO, *_pem("--typ", "none"), stdin=token).exit_code == 0


@pytest.mark.parametrize(
    ("args", "exit_code", "cause"),
    [
        (("--issuer", "me"), 1, "sub, aud"),
        ((*WHO, "--subject", "a", "--claims", "[1]"), 1, "json_not_an_object"),
        ((*WHO, "--subject", "a", "--claims", '{"exp": 1.5}'), 1, "refuse this token"),
        ((*WHO, "--subject", "a", "--claims", '{"iat": "now"}'), 1, "refuse this token"),
        ((*WHO, "--subject", "a", "--claims", '{"roles": "admin"}'), 1, "refuse this token"),
        (("--subject", "a", "--claims", '{"iss": 1, "aud": "x"}'), 1, "could not expect"),
        ((*WHO, "--subject", "a", "--claims", "@missing"), 3, "missing"),
        ((*WHO, "--subject", "a", "--ttl", "0"), 2, "--ttl"),
    ],
)
def test_issue_hands_out_what_verifies(
    cli: Cli, pem: Path, args: tuple[str, ...], exit_code: int, cause: str
) -> None:
    """What a strict verifier would refuse is not issued."""
    refused = cli("jwt", "issue", *_pem(), *args)
    assert (refused.exit_code, refused.stdout) == (exit_code, "")
    assert cause in refused.stderr


def test_issue_needs_a_private_key(cli: Cli, pem: Path) -> None:
    """A public key does not sign, PEM needs an algorithm, and no key at all is wrong usage."""
    who = (*WHO, "--subject", "ada")
    assert cli("jwt", "issue", *who, "--key", "public.pem", "--alg", "ES256").exit_code == 3
    assert cli("jwt", "issue", *who, "--key", "key.pem").exit_code == 2
    assert cli("jwt", "issue", *who).exit_code == 2


@pytest.mark.parametrize("alg", ["ES256", "ES384", "ES512", "Ed25519", "EdDSA", "RS256", "PS256"])
def test_key(cli: Cli, alg: str) -> None:
    """A key of each algorithm, in PEM and JWK, signs what its public half verifies."""
    for form in ((), ("--jwk",)):
        out, public = f"key{len(form)}", f"public{len(form)}"
        made = cli(
            "jwt", "key", "--alg", alg, *form, "--out", out, "--public-out", public, "--json"
        )
        document = json.loads(made.stdout)
        assert document["alg"] == alg
        assert "private" not in document
        assert Path(out).stat().st_mode & 0o777 == 0o600
        assert Path(public).stat().st_mode & 0o777 == 0o644
        token = _issued(cli, "--key", out, "--alg", alg)
        verified = cli("jwt", "verify", *WHO, "--key", public, "--alg", alg, stdin=token)
        assert verified.exit_code == 0, verified.stderr
    assert cli("jwt", "key", "--alg", alg).stdout.startswith("-----BEGIN PRIVATE KEY-----")


def test_key_for_hmac(cli: Cli) -> None:
    """A secret is a JWK only, and has no public half."""
    made = json.loads(cli("jwt", "key", "--alg", "HS256", "--jwk").stdout)
    assert made["kty"] == "oct"
    Path("secret.jwk").write_text(json.dumps(made))
    token = _issued(cli, "--key", "secret.jwk")
    assert cli("jwt", "verify", *WHO, "--key", "secret.jwk", stdin=token).exit_code == 0
    assert cli("jwt", "key", "--alg", "HS256").exit_code == 2
    refused = cli("jwt", "key", "--alg", "HS256", "--jwk", "--public-out", "x")
    assert refused.exit_code == 2
    assert not Path("x").exists()
    assert cli("jwt", "key").exit_code == 2


def test_key_is_written_under_any_umask(cli: Cli) -> None:
    """The private key is its owner's alone even where the umask would let others read."""
    before = os.umask(0)
    try:
        assert cli("jwt", "key", "--alg", "ES256", "--out", "key.pem").exit_code == 0
    finally:
        os.umask(before)
    assert Path("key.pem").stat().st_mode & 0o777 == 0o600
