"""Every algorithm, both ways, with PyJWT, joserfc and npm `jose`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jwt as pyjwt
import pytest
from jose_core import tokens, vectors
from jose_core.tokens import ALGORITHMS, AUDIENCE, CLAIMS, ISSUER, NOW, claims, key, verifier
from joserfc import jwk as joserfc_jwk, jwt as joserfc_jwt

from sojourn.errors import InvalidToken
from sojourn.jose import SigningKey, issue, jws

FULL = claims(roles=["admin"], scope="a b", claims={"plan": "pro", "é": [1, {"a": None}]}, pos=7)
BODY = {**CLAIMS, "roles": ["admin"], "scope": "a b", "claims": FULL.claims, "pos": 7}

# PyJWT has not learnt the name of RFC 9864.
PYJWT = [alg for alg in ALGORITHMS if alg != "Ed25519"]


@pytest.mark.parametrize("alg", PYJWT)
def test_pyjwt_reads_what_is_issued(alg):
    """PyJWT verifies our tokens under our published key."""
    signing = key(alg)
    other = pyjwt.PyJWK(signing.to_jwk()).key
    if signing.verifying.is_public:
        other = pyjwt.PyJWK(signing.verifying.to_jwk()).key
    late = SigningKey.from_jwk(signing.to_jwk())
    import time

    sent = claims(exp=int(time.time()) + 600, iat=int(time.time()))
    seen = pyjwt.decode(
        issue(sent, late), other, algorithms=[alg], audience=AUDIENCE, issuer=ISSUER
    )
    assert (sent.sub, sent.exp, sent.jti) == (seen["sub"], seen["exp"], seen["jti"])


@pytest.mark.parametrize("alg", PYJWT)
def test_what_pyjwt_signs_is_verified(alg):
    """We verify PyJWT's tokens."""
    signing = key(alg)
    private = pyjwt.PyJWK(signing.to_jwk()).key
    theirs = pyjwt.encode(
        BODY, private, algorithm=alg, headers={"kid": signing.kid, "typ": "at+jwt"}
    )
    assert FULL == verifier(signing).verify(theirs, now=NOW)


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
@pytest.mark.parametrize("alg", ALGORITHMS)
def test_joserfc_reads_what_is_issued(alg):
    """Joserfc verifies our tokens under our published key."""
    signing = key(alg)
    exported = signing.verifying.to_jwk() if signing.verifying.is_public else signing.to_jwk()
    seen = joserfc_jwt.decode(
        issue(FULL, signing), joserfc_jwk.import_key(exported), algorithms=[alg]
    )
    assert BODY == seen.claims
    assert signing.kid == seen.header["kid"]


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
@pytest.mark.parametrize("alg", ALGORITHMS)
def test_what_joserfc_signs_is_verified(alg):
    """We verify joserfc's tokens, and give its keys the same thumbprint."""
    signing = key(alg)
    theirs = joserfc_jwk.import_key(signing.to_jwk())
    header = {"alg": alg, "kid": signing.kid, "typ": "at+jwt"}
    token = joserfc_jwt.encode(header, BODY, theirs, algorithms=[alg])
    assert FULL == verifier(signing).verify(token, now=NOW)
    bare = {name: value for name, value in signing.to_jwk().items() if name != "kid"}
    assert theirs.thumbprint() == SigningKey.from_jwk(bare).kid


# --- npm jose -------------------------------------------------------------------------------------

FOLDER = Path(__file__).parent / "interop"


@pytest.fixture(scope="session")
def peer(request, tmp_path_factory) -> Any:
    """A function that sends jobs to npm `jose`, installed once and kept with pytest's cache."""
    if not shutil.which("node") or not shutil.which("npm"):
        vectors.absent("Node.js and npm are not installed")
    version = json.loads((FOLDER / "package.json").read_text())["dependencies"]["jose"]
    cache = getattr(request.config, "cache", None)
    kept = cache.mkdir("npm") if cache else tmp_path_factory.mktemp("npm")
    home = kept / f"jose-{version}"
    if not (home / "node_modules" / "jose" / "package.json").is_file():
        fresh = tmp_path_factory.mktemp("interop") / "home"
        shutil.copytree(FOLDER, fresh)
        install = subprocess.run(
            ["npm", "install", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=fresh, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        if install.returncode != 0:
            vectors.absent(f"npm cannot install jose {version}")
        if not home.exists():  # another worker may have been quicker
            shutil.copytree(fresh, home)
    script = home / "peer.mjs"
    shutil.copyfile(FOLDER / "peer.mjs", script)

    def send(jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        done = subprocess.run(
            ["node", str(script)], input=json.dumps(jobs), capture_output=True, text=True,
            timeout=120, check=True, env={**os.environ, "NODE_NO_WARNINGS": "1"},
        )  # fmt: skip
        return json.loads(done.stdout)

    return send


def exported(signing: SigningKey) -> dict[str, str]:
    """What another party verifies with."""
    return signing.verifying.to_jwk() if signing.verifying.is_public else signing.to_jwk()


@pytest.mark.node
def test_npm_jose_reads_what_is_issued(peer):
    """Npm jose verifies our tokens of every algorithm, with issuer, audience and typ."""
    common = {"op": "verify", "issuer": ISSUER, "audience": AUDIENCE, "now": NOW}
    jobs = [
        {**common, "alg": alg, "jwk": exported(key(alg)), "token": issue(FULL, key(alg))}
        for alg in ALGORITHMS
    ]
    assert [{"claims": BODY}] * len(ALGORITHMS) == peer(jobs)


@pytest.mark.node
def test_what_npm_jose_signs_is_verified(peer):
    """We verify npm jose's tokens of every algorithm."""
    jobs = [
        {"op": "sign", "alg": alg, "jwk": key(alg).to_jwk(), "claims": BODY} for alg in ALGORITHMS
    ]
    for alg, theirs in zip(ALGORITHMS, peer(jobs), strict=True):
        assert FULL == verifier(key(alg)).verify(theirs["token"], now=NOW), alg


@pytest.mark.node
def test_npm_jose_computes_the_same_thumbprints(peer):
    """RFC 7638: the default id is everybody's."""
    keys = [
        SigningKey.from_jwk({n: v for n, v in key(alg).to_jwk().items() if n != "kid"})
        for alg in ALGORITHMS
    ]
    answers = peer([{"op": "thumbprint", "jwk": exported(each)} for each in keys])
    assert [{"thumbprint": each.kid} for each in keys] == answers


@pytest.mark.node
def test_npm_jose_and_we_refuse_the_same(peer):
    """Hostile tokens: where npm jose refuses, so do we; where only we refuse, the list says why."""
    hostile = {
        "expired": tokens.token(exp=NOW - 1),
        "another audience": tokens.token(aud="other"),
        "another issuer": tokens.token(iss="other"),
        "another type": tokens.with_header(typ="JWT"),
        "algorithm none": tokens.with_header(alg="none"),
        "critical": tokens.with_header(crit=["x"]),
        "forged": tokens.token()[:-4] + "AAAA",
        "trailing padding": tokens.token() + "==",
        "five parts": tokens.token() + ".a.b",
        "expiry as text": tokens.token(exp="soon"),
    }
    common = {"op": "verify", "issuer": ISSUER, "audience": AUDIENCE, "now": NOW}
    jobs = [
        {**common, "alg": "ES256", "jwk": exported(key()), "token": each}
        for each in hostile.values()
    ]
    theirs = {name for name, reply in zip(hostile, peer(jobs), strict=True) if "error" in reply}
    from sojourn.errors import ExpiredToken

    for name, each in hostile.items():
        with pytest.raises((InvalidToken, ExpiredToken)):
            verifier().verify(each, now=NOW)
        assert name in theirs or name == "trailing padding", name


def test_a_raw_signature_is_read_by_joserfc():
    """RFC 7515: bytes that are no JWT, too."""
    from joserfc import jws as joserfc_jws

    token = jws.sign(b"\x00 bytes", key("ES384"))
    other = joserfc_jwk.import_key(key("ES384").verifying.to_jwk())
    assert (
        b"\x00 bytes" == joserfc_jws.deserialize_compact(token, other, algorithms=["ES384"]).payload
    )
