"""Keys: typed, of one algorithm, strong enough, in PEM and JWK both ways, and silent."""

from __future__ import annotations

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from jose_core.tokens import ALGORITHMS, SECRET, b64, key, numbered

from sojourn.errors import ConfigurationError, InvalidKey
from sojourn.jose import SigningKey, VerifyingKey, strength
from sojourn.jose.algorithms import ALGORITHMS as TABLE, ALL, PUBLIC

ASYMMETRIC = [alg for alg in ALGORITHMS if alg in PUBLIC]


def test_the_table_holds_every_algorithm_and_no_other():
    """RFC 7518 section 3.1, RFC 8037, RFC 9864: fourteen names, and none is not among them."""
    assert set(ALGORITHMS) == set(TABLE) == ALL
    assert 14 == len(ALL)
    assert {"HS256", "HS384", "HS512"} == ALL - PUBLIC


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_a_key_signs_and_verifies_and_survives_its_jwk(alg):
    """A private JWK gives the same key back, with algorithm and id."""
    signing = key(alg)
    again = SigningKey.from_jwk(json.dumps(signing.to_jwk()).encode())
    assert (signing.alg, signing.kid) == (again.alg, again.kid)
    assert signing.to_jwk() == again.to_jwk()
    assert again.verifying.verify(signing.sign(b"data"), b"data")
    assert not again.verifying.verify(signing.sign(b"data"), b"other")


@pytest.mark.parametrize("alg", ASYMMETRIC)
def test_a_key_survives_pem_and_public_jwk(alg):
    """PEM and public JWK give the same key back."""
    signing = key(alg)
    private = SigningKey.from_pem(signing.to_pem(), alg=alg)
    public = VerifyingKey.from_pem(signing.verifying.to_pem(), alg=alg, kid="mine")
    jwk = VerifyingKey.from_jwk(signing.verifying.to_jwk())
    assert signing.verifying.to_jwk() == jwk.to_jwk()
    assert "mine" == public.kid
    for each in (private.verifying, public, jwk):
        assert each.verify(signing.sign(b"x"), b"x")
        assert each.is_public


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_nothing_shows_material(alg):
    """A repr shows algorithm and id only."""
    signing = key(alg)
    assert f"SigningKey(alg='{alg}', kid='kid-{alg}')" == repr(signing)
    assert f"VerifyingKey(alg='{alg}', kid='kid-{alg}')" == repr(signing.verifying)
    assert not hasattr(signing, "__dict__")


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_the_default_id_is_the_thumbprint(alg):
    """RFC 7638: independent of the algorithm, of optional members and of the private part."""
    jwk = {name: value for name, value in key(alg).to_jwk().items() if name != "kid"}
    mine = SigningKey.from_jwk(jwk)
    assert 43 == len(mine.kid)
    required = {"EC": "crv kty x y", "RSA": "e kty n", "OKP": "crv kty x", "oct": "k kty"}[
        jwk["kty"]
    ]
    import hashlib

    text = json.dumps({name: jwk[name] for name in required.split()}, separators=(",", ":"))
    assert b64(hashlib.sha256(text.encode()).digest()) == mine.kid


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
def test_a_secret_is_never_published(alg):
    """RFC 8725 section 2.1: there is no public form of a secret."""
    signing = key(alg)
    for export in (signing.verifying.to_jwk, signing.verifying.to_pem, signing.to_pem):
        with pytest.raises(InvalidKey):
            export()
    assert not signing.verifying.is_public


@pytest.mark.parametrize("kid", ["", "x" * 129, 7, "a\x00b", "\ud800"])
def test_a_key_id_is_text_of_1_to_128_characters(kid):
    """What cannot stand in a header is refused when the key is made."""
    with pytest.raises(InvalidKey, match="kid"):
        SigningKey.from_secret(SECRET, kid=kid)
    with pytest.raises(InvalidKey, match="kid"):
        SigningKey.from_jwk({**key("HS256").to_jwk(), "kid": kid})


@pytest.mark.parametrize("alg", ["none", "ES256K", "", None, 1, "RSA-OAEP"])
def test_an_unknown_algorithm_is_refused(alg):
    """RFC 8725 section 3.1: names are exact."""
    for make in (
        lambda: SigningKey.generate(alg),
        lambda: SigningKey.from_secret(SECRET, alg=alg),
        lambda: VerifyingKey.from_pem(key().verifying.to_pem(), alg=alg),
        lambda: VerifyingKey.from_jwk({**key().verifying.to_jwk(), "alg": alg or "x"}),
    ):
        with pytest.raises(ConfigurationError) as caught:
            make()
        assert "invalid_key" == caught.value.code


@pytest.mark.parametrize("alg", ASYMMETRIC)
@pytest.mark.parametrize("other", ["ES256", "ES384", "ES512", "RS256", "Ed25519", "HS256"])
def test_a_key_of_another_type_or_curve_is_refused(alg, other):
    """RFC 7518 section 3.4: the algorithm names type and curve."""
    if TABLE[alg].kty == TABLE[other].kty and TABLE[alg].curve == TABLE[other].curve:
        return
    signing = key(alg)
    for make in (
        lambda: SigningKey.from_pem(signing.to_pem(), alg=other),
        lambda: VerifyingKey.from_pem(signing.verifying.to_pem(), alg=other),
        lambda: VerifyingKey.from_jwk({**signing.verifying.to_jwk(), "alg": other}),
        lambda: VerifyingKey.from_jwk(signing.verifying.to_jwk(), alg=other),
        lambda: SigningKey.from_secret(SECRET, alg=alg),
    ):
        with pytest.raises(InvalidKey):
            make()


def test_keys_for_other_purposes_are_refused():
    """Keys that `cryptography` loads, but that sign nothing here."""
    foreign = [
        x25519.X25519PrivateKey.generate(),
        ec.generate_private_key(ec.SECP256K1()),
        dsa.generate_private_key(2048),
    ]
    for each in foreign:
        private = each.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        public = each.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        for alg in ("ES256", "Ed25519", "RS256"):
            with pytest.raises(InvalidKey):
                SigningKey.from_pem(private, alg=alg)
            with pytest.raises(InvalidKey):
                VerifyingKey.from_pem(public, alg=alg)


def test_a_private_pem_verifies_nothing_and_a_public_one_signs_nothing():
    """Public and private forms are not interchangeable."""
    with pytest.raises(InvalidKey):
        VerifyingKey.from_pem(key().to_pem(), alg="ES256")
    with pytest.raises(InvalidKey):
        SigningKey.from_pem(key().verifying.to_pem(), alg="ES256")


def test_an_encrypted_pem_needs_its_password():
    """RFC 5958: the right password opens, anything else is refused alike."""
    loaded = ec.generate_private_key(ec.SECP256R1())
    pem = loaded.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"pw"))
    assert "ES256" == SigningKey.from_pem(pem, alg="ES256", password=b"pw").alg
    for password in (None, b"", b"other"):
        with pytest.raises(InvalidKey):
            SigningKey.from_pem(pem, alg="ES256", password=password)
    with pytest.raises(InvalidKey):
        SigningKey.from_pem(key().to_pem(), alg="ES256", password=b"needless")


@pytest.mark.parametrize(
    "pem", ["text", None, b"", b"garbage", b"-----BEGIN PUBLIC KEY-----", b"x" * 16385]
)
def test_what_is_no_pem_is_refused(pem):
    """RFC 7468: bytes of at most 16 KiB that hold one key."""
    for load in (SigningKey.from_pem, VerifyingKey.from_pem):
        with pytest.raises(InvalidKey):
            load(pem, alg="ES256")


# --- RSA ------------------------------------------------------------------------------------------


def rsa_jwk(n: int, e: int = 65537) -> dict[str, str]:
    """A public RSA JWK of any numbers."""
    octets = [value.to_bytes((value.bit_length() + 7) // 8) for value in (n, e)]
    return {"kty": "RSA", "alg": "RS256", "n": b64(octets[0]), "e": b64(octets[1])}


def roca_modulus() -> int:
    """A modulus of the form that CVE-2017-15361 describes: p = k * M + (65537^a mod M)."""
    primes = [p for p in range(2, 702) if all(p % q for q in range(2, p))]
    assert 126 == len(primes)
    primorial = 1
    for prime in primes:
        primorial *= prime
    factors = []
    for k, a in ((2**53 + 123, 12345), (2**53 + 4567, 67890)):
        factors.append(k * primorial + pow(65537, a, primorial))
    return factors[0] * factors[1]


def test_the_roca_fingerprint_is_refused():
    """CVE-2017-15361, Nemec et al. 2017: the form of the flawed library is recognised."""
    modulus = roca_modulus()
    assert 2048 <= modulus.bit_length() <= 2056
    assert strength.is_roca_weak(modulus)
    with pytest.raises(InvalidKey, match="15361"):
        VerifyingKey.from_jwk(rsa_jwk(modulus))


def test_the_roca_fingerprint_spares_sound_keys():
    """Sound moduli are taken for flawed with a probability below 2^-27."""
    import math
    import random

    chance = random.Random(1)
    assert not any(strength.is_roca_weak(chance.getrandbits(2048) | 1) for _ in range(20_000))
    odds = math.prod(len(residues) / (prime - 1) for prime, residues in strength._ROCA_RESIDUES)
    assert odds < 2**-27


def test_the_roca_primes_are_those_that_tell_something():
    """The primes up to 167 modulo which 65537 does not generate everything, as published."""
    primes = [p for p in range(3, 168, 2) if all(p % q for q in range(3, p, 2))]
    telling = [p for p in primes if p != 2 and len({pow(65537, a, p) for a in range(p)}) < p - 1]
    assert telling == list(strength._ROCA_PRIMES)


@pytest.mark.parametrize("bits", [512, 1024, 2047])
def test_a_short_rsa_key_is_refused(bits):
    """RFC 7518 section 3.3: 2048 bits or more."""
    with pytest.raises(InvalidKey, match="2048"):
        VerifyingKey.from_jwk(rsa_jwk((1 << (bits - 1)) + 1))


def test_a_short_rsa_key_in_pem_is_refused():
    """RFC 7518 section 3.3: also where `cryptography` loads it."""
    loaded = rsa.generate_private_key(65537, 1024)  # noqa: S505 - weak on purpose
    pem = loaded.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(InvalidKey, match="2048"):
        SigningKey.from_pem(pem, alg="RS256")


@pytest.mark.parametrize("bits", [8193, 16384, 32768])
def test_a_huge_rsa_key_is_refused(bits):
    """Verification costs grow with the key; 32k-bit moduli are an attack."""
    with pytest.raises(InvalidKey, match="8192"):
        VerifyingKey.from_jwk(rsa_jwk((1 << (bits - 1)) + 1))


@pytest.mark.parametrize("e", [1, 2, 3, 17, 65536, 65539, 2**32 + 1, 2**2047 + 1])
def test_another_rsa_exponent_is_refused(e):
    """FIPS 186-5: 65537 and nothing else."""
    modulus = key("RS256").verifying._key.public_numbers().n
    with pytest.raises(InvalidKey, match="65537"):
        VerifyingKey.from_jwk(rsa_jwk(modulus, e))


def test_an_even_rsa_modulus_is_refused():
    """A modulus is a product of odd primes."""
    with pytest.raises(InvalidKey, match="weak"):
        VerifyingKey.from_jwk(rsa_jwk(1 << 2047))


# --- Ed25519 --------------------------------------------------------------------------------------

P = 2**255 - 19
SMALL_ORDER = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
]
NOT_CANONICAL = [
    (P + y | sign << 255).to_bytes(32, "little").hex() for y in range(19) for sign in (0, 1)
]
OFF_CURVE = [(y).to_bytes(32, "little").hex() for y in (2, 7, 8)]


@pytest.mark.parametrize("text", [*SMALL_ORDER, *NOT_CANONICAL, *OFF_CURVE])
def test_a_degenerate_ed25519_key_is_refused(text):
    """RFC 8032 section 5.1.3, Cremers et al. 2019: small order, not canonical, off the curve."""
    raw = bytes.fromhex(text)
    with pytest.raises(InvalidKey, match="Ed25519"):
        VerifyingKey.from_jwk({"kty": "OKP", "crv": "Ed25519", "alg": "Ed25519", "x": b64(raw)})
    pem = Ed25519PublicKey.from_public_bytes(raw).public_bytes(
        Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    )
    with pytest.raises(InvalidKey, match="Ed25519"):
        VerifyingKey.from_pem(pem, alg="EdDSA")


def test_the_points_of_order_8_are_computed_right():
    """2P has y = 0 for them, so that d y^4 + 2 y^2 - 1 = 0 (RFC 8032 section 5.1.4)."""
    others = strength._SMALL_ORDER_Y - {0, 1, P - 1}
    assert [0, 0] == [(strength._D * y**4 + 2 * y * y - 1) % P for y in others]


def test_sound_ed25519_keys_are_accepted():
    """The check refuses degenerate points only."""
    for _ in range(50):
        strength.check_ed25519(Ed25519PrivateKey.generate().public_key().public_bytes_raw())


# --- JWK ------------------------------------------------------------------------------------------

EC = {"kty": "EC", "crv": "P-256", **{n: key().to_jwk()[n] for n in ("x", "y")}}


def test_the_curve_decides_where_the_key_does_not_say():
    """RFC 7518 section 3.4: a curve has one algorithm; other types need alg=."""
    assert "ES256" == VerifyingKey.from_jwk(EC).alg
    for alg in ("RS256", "Ed25519", "HS256"):
        jwk = {name: value for name, value in key(alg).to_jwk().items() if name != "alg"}
        with pytest.raises(InvalidKey, match="alg="):
            SigningKey.from_jwk(jwk)
        assert alg == SigningKey.from_jwk(jwk, alg=alg).alg


@pytest.mark.parametrize(
    ("member", "value"),
    numbered(
        ("use", "enc"),
        ("use", None),
        ("use", ["sig"]),
        ("key_ops", []),
        ("key_ops", "verify"),
        ("key_ops", ["encrypt"]),
        ("key_ops", ["sign"]),
        ("key_ops", ["verify", "verify"]),
        ("key_ops", {"verify": 1}),
        ("alg", "RS256"),
        ("alg", "ES384"),
        ("alg", "none"),
        ("alg", ["ES256"]),
        ("kty", "RSA"),
        ("kty", "OKP"),
        ("kty", ["EC"]),
        ("kty", "ec"),
        ("crv", "P-384"),
        ("crv", "secp256r1"),
        ("crv", None),
        ("x", None),
        ("x", 7),
        ("x", ""),
        ("x", EC["x"] + "="),
        ("x", EC["x"][:-1]),
        ("x", "AA" + EC["x"]),
        ("x", "é" * 43),
        ("y", EC["x"]),
        ("y", b64(bytes(32))),
        ("kid", 1),
        ("kid", ""),
        ("d", key().to_jwk()["d"]),
        ("oth", []),
    ),
)
def test_a_public_jwk_that_is_not_exactly_right_is_refused(member, value):
    """RFC 7517 section 4, RFC 7518 section 6.2.1: purpose, names, lengths, the curve itself."""
    with pytest.raises(InvalidKey):
        VerifyingKey.from_jwk({**EC, member: value})


@pytest.mark.parametrize("key_ops", [["verify"], ["sign", "verify"], ["verify", 7]])
def test_key_ops_that_allow_verifying_are_accepted(key_ops):
    """RFC 7517 section 4.3."""
    assert "ES256" == VerifyingKey.from_jwk({**EC, "key_ops": key_ops, "use": "sig"}).alg


def test_key_ops_have_to_allow_signing():
    """RFC 7517 section 4.3: a key that may only verify signs nothing."""
    with pytest.raises(InvalidKey, match="key_ops"):
        SigningKey.from_jwk({**key().to_jwk(), "key_ops": ["verify"]})
    assert "ES256" == SigningKey.from_jwk({**key().to_jwk(), "key_ops": ["sign"]}).alg


@pytest.mark.parametrize("alg", ["ES256", "ES512", "Ed25519", "RS256"])
def test_a_private_jwk_belongs_to_its_public_members(alg):
    """RFC 7517 section 9.3: or a key would be published that verifies nothing it signs."""
    mine = key(alg).to_jwk()
    other = SigningKey.generate(alg).to_jwk()
    for name in ("x", "n", "d", "y", "p"):
        if name in mine:
            with pytest.raises(InvalidKey):
                SigningKey.from_jwk({**mine, name: other[name]})
    with pytest.raises(InvalidKey):
        SigningKey.from_jwk({name: value for name, value in mine.items() if name != "d"})


def test_an_ec_scalar_out_of_range_is_refused():
    """RFC 7518 section 6.2.2.1: the scalar has the length of the order, and is one of its numbers."""
    for d in (bytes(32), b"\xff" * 32, bytes(31), bytes(33)):
        with pytest.raises(InvalidKey):
            SigningKey.from_jwk({**key().to_jwk(), "d": b64(d)})


def test_rsa_factors_are_all_there_or_none():
    """RFC 7518 section 6.3.2: from d alone they are computed; some of them are refused."""
    jwk = key("RS256").to_jwk()
    factors = ("p", "q", "dp", "dq", "qi")
    bare = {name: value for name, value in jwk.items() if name not in factors}
    again = SigningKey.from_jwk(bare)
    assert again.verifying.verify(key("RS256").sign(b"x"), b"x")
    for name in factors:
        with pytest.raises(InvalidKey):
            SigningKey.from_jwk({n: v for n, v in jwk.items() if n != name})
    with pytest.raises(InvalidKey, match="two primes"):
        SigningKey.from_jwk({**jwk, "oth": []})
    with pytest.raises(InvalidKey):
        SigningKey.from_jwk({**bare, "d": b64(b"\x03")})


@pytest.mark.parametrize("name", ["n", "e"])
def test_rsa_integers_have_no_leading_zeros(name):
    """RFC 7518 section 2: Base64urlUInt is of the fewest octets."""
    jwk = key("RS256").verifying.to_jwk()
    padded = b"\x00" + base64.urlsafe_b64decode(jwk[name] + "==")
    for value in (b64(padded), "", "AA"):
        with pytest.raises(InvalidKey):
            VerifyingKey.from_jwk({**jwk, name: value})


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"{", b'{"kty":"EC","kty":"RSA"}', b"\xff", b" " * 40000, b"null"]
)
def test_a_jwk_is_strict_json(raw):
    """RFC 7517 section 4: duplicate names and anything but one object are refused."""
    with pytest.raises(InvalidKey):
        VerifyingKey.from_jwk(raw)


def test_an_oct_key_verifies_too():
    """RFC 7518 section 6.4: a shared secret as JWK, for either half."""
    jwk = key("HS256").to_jwk()
    assert VerifyingKey.from_jwk(jwk).verify(key("HS256").sign(b"x"), b"x")


def test_an_encrypted_private_key_in_der_is_no_secret():
    """Even a key that cannot be opened is recognised as one."""
    loaded = ec.generate_private_key(ec.SECP256R1())
    der = loaded.private_bytes(Encoding.DER, PrivateFormat.PKCS8, BestAvailableEncryption(b"pw"))
    with pytest.raises(InvalidKey, match="not a secret"):
        SigningKey.from_secret(der)
