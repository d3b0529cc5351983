"""Password hashes of other libraries, made by themselves."""

import time
import warnings

import bcrypt
import pytest
from django.contrib.auth import hashers as django
from hypothesis import given, strategies as st
from pwdlib.hashers.argon2 import Argon2Hasher
from pwdlib.hashers.bcrypt import BcryptHasher
from werkzeug.security import generate_password_hash

from sojourn.doors.passwords import UnknownHash, check_hash, needs_upgrade, verify_password
from sojourn.errors import ConfigurationError
from sojourn.server.hashing import Hasher

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # passlib looks for crypt and pkg_resources
    from passlib import hash as passlib

PASSWORD = "pässword of eight unrelated words"
LONG = "a password far beyond what bcrypt looks at, " * 3
BCRYPT_SALT = b"$2b$04$abcdefghijklmnopqrstuu"


def by_django(hasher):
    """Have a hasher of Django make a hash."""
    return lambda password: hasher.encode(password, hasher.salt())


def quick(hasher, **costs):
    """Give a hasher of Django a cost fit for tests, which stands in the hash."""
    return by_django(type(hasher.__name__, (hasher,), costs)())


def by_passlib(kind, **options):
    """Have passlib make a hash; it knows bcrypt only up to version 4, which cut passwords off."""

    def make(password):
        with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # passlib asks argon2 its version
            real = bcrypt.hashpw
            patch.setattr(bcrypt, "hashpw", lambda secret, salt: real(secret[:72], salt))
            patch.setattr(bcrypt, "__about__", bcrypt, raising=False)
            return getattr(passlib, kind).using(**options).hash(password)

    return make


MAKERS = {
    "django pbkdf2_sha256": quick(django.PBKDF2PasswordHasher, iterations=1_000),
    "django pbkdf2_sha1": quick(django.PBKDF2SHA1PasswordHasher, iterations=1_000),
    "django argon2": by_django(django.Argon2PasswordHasher()),
    "django bcrypt_sha256": quick(django.BCryptSHA256PasswordHasher, rounds=4),
    "django bcrypt": lambda password: quick(django.BCryptPasswordHasher, rounds=4)(
        password.encode()[:72].decode()
    ),
    "django scrypt": by_django(django.ScryptPasswordHasher()),
    "passlib bcrypt": by_passlib("bcrypt", rounds=4),
    "passlib bcrypt 2a": by_passlib("bcrypt", rounds=4, ident="2a"),
    "passlib bcrypt 2y": by_passlib("bcrypt", rounds=4, ident="2y"),
    "passlib bcrypt_sha256": by_passlib("bcrypt_sha256", rounds=4),
    "passlib bcrypt_sha256 v1": by_passlib("bcrypt_sha256", rounds=4, version=1),
    "passlib pbkdf2_sha1": by_passlib("pbkdf2_sha1"),
    "passlib pbkdf2_sha256": by_passlib("pbkdf2_sha256"),
    "passlib pbkdf2_sha512": by_passlib("pbkdf2_sha512"),
    "passlib argon2": by_passlib("argon2"),
    "passlib scrypt": by_passlib("scrypt", rounds=8),
    "passlib sha256_crypt": by_passlib("sha256_crypt", rounds=1_000),
    "passlib sha512_crypt": by_passlib("sha512_crypt", rounds=1_000),
    "passlib sha512_crypt without rounds": by_passlib("sha512_crypt", rounds=5_000),
    "passlib sha256_crypt of any salt": by_passlib("sha256_crypt", rounds=1_001, salt="a"),
    "werkzeug scrypt": generate_password_hash,
    "werkzeug pbkdf2": lambda password: generate_password_hash(password, "pbkdf2:sha256:1000"),
    "werkzeug pbkdf2 sha512": lambda password: generate_password_hash(
        password, "pbkdf2:sha512:1000"
    ),
    "bcrypt": lambda password: bcrypt.hashpw(password.encode()[:72], BCRYPT_SALT).decode(),
    "pwdlib argon2": Argon2Hasher().hash,
    "pwdlib bcrypt": lambda password: BcryptHasher(rounds=4).hash(password.encode()[:72].decode()),
}


@pytest.mark.parametrize("password", [PASSWORD, LONG])
@pytest.mark.parametrize("maker", MAKERS)
def test_the_password_fits_and_no_other(maker, password):
    """Whatever the library made is verified by its own text, and upgraded."""
    made = MAKERS[maker](password)
    check_hash(made)
    assert verify_password(password, made)
    assert not verify_password("another " + password, made)
    assert not verify_password("", made)
    # Argon2id of at least our own cost may stay.
    assert needs_upgrade(made) == (not made.startswith("$argon2id$"))


def test_bcrypt_looks_at_72_bytes():
    """As the libraries did when the hash was made; a NUL, which would end the password, fits nothing."""
    made = MAKERS["bcrypt"](LONG)
    assert verify_password(LONG[:72] + "whatever", made)
    assert not verify_password(LONG[:71], made)
    assert not verify_password("\x00", bcrypt.hashpw(b"", BCRYPT_SALT).decode())


@pytest.mark.parametrize(
    ("made", "is_weak"),
    [
        ("$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQxMjM0$" + "A" * 43, False),
        ("$argon2id$v=19$m=19455,t=2,p=1$c29tZXNhbHQxMjM0$" + "A" * 43, True),
        ("$argon2id$v=19$m=19456,t=1,p=1$c29tZXNhbHQxMjM0$" + "A" * 43, True),
        ("$argon2i$v=19$m=65536,t=3,p=4$c29tZXNhbHQxMjM0$" + "A" * 43, True),
        ("!unusable", True),
    ],
)
def test_what_needs_an_upgrade(made, is_weak):
    """Everything but an Argon2id of OWASP's least."""
    assert needs_upgrade(made) == is_weak
    assert not verify_password(PASSWORD, made)


DIGEST = "A" * 43 + "="
HOSTILE = [
    f"pbkdf2_sha256$999999999$salt${DIGEST}",
    f"pbkdf2_sha256$0$salt${DIGEST}",
    "pbkdf2_sha256$1000$salt$" + "A" * 400,
    "pbkdf2_sha256$1000$salt$AAAAA",
    "pbkdf2:sha256:1000$salt$abc",
    f"pbkdf2:md5:1000$salt${'a' * 32}",
    f"pbkdf2:sha256${DIGEST}",
    "$argon2id$v=19$m=99999999,t=1,p=1$c29tZXNhbHQxMjM0$" + "A" * 43,
    "$argon2id$v=19$m=262144,t=9,p=1$c29tZXNhbHQxMjM0$" + "A" * 43,
    "$argon2id$v=19$m=8,t=99999,p=1$c29tZXNhbHQxMjM0$" + "A" * 43,
    "$argon2id$v=19$m=9999,t=1,p=999$c29tZXNhbHQxMjM0$" + "A" * 43,
    "$2b$31$" + "a" * 53,
    "$2b$03$" + "a" * 53,
    "$2x$04$" + "a" * 53,
    "bcrypt_sha256$$2b$16$" + "a" * 53,
    "$bcrypt-sha256$v=2,t=2b,r=31$" + "a" * 22 + "$" + "a" * 31,
    f"scrypt$16777216$salt$8$1${DIGEST}",
    f"scrypt$16384$salt$999$1${DIGEST}",
    f"scrypt$16384$salt$8$999${DIGEST}",
    f"scrypt$16383$salt$8$1${DIGEST}",
    f"scrypt$1$salt$8$1${DIGEST}",
    f"scrypt$16384$salt$0$1${DIGEST}",
    f"scrypt$16384$salt$8$0${DIGEST}",
    "scrypt:32768:8:1$salt$" + "ab" * 4,
    "scrypt:32768:8:1$salt$" + "ab" * 400,
    "$scrypt$ln=99,r=8,p=1$c2FsdA$" + "A" * 43,
    "$6$rounds=999999999$salt$" + "A" * 86,
    "$6$rounds=700001$salt$" + "A" * 86,
    "$6$rounds=0999$salt$" + "A" * 86,
    "$5$rounds=1000$longer than sixteen$" + "A" * 43,
    "$1$salt$qJH7.N4xYta3aEG/dfqo/0",
    "md5$salt$" + "a" * 32,
    "unsalted",
    "",
    "\x00",
    "5f4dcc3b5aa765d61d8327deb882cf99",
    "$argon2id$" + "$" * 5_000,
    "pbkdf2_sha256$1000$salt$" + "A" * 43 + "=\n",
]


@pytest.mark.parametrize("made", HOSTILE, ids=lambda made: made[:30] or "empty")
def test_hostile_hashes_cost_nothing(made):
    """What is unknown, malformed or would take minutes or gigabytes is refused before it is tried."""
    began = time.process_time()
    for refuse in (check_hash, lambda text: verify_password(PASSWORD, text)):
        with pytest.raises(UnknownHash) as caught:
            refuse(made)
        assert len(made) < 10 or made not in str(caught.value)
    assert time.process_time() - began < 1


def test_the_dearest_that_is_allowed(monkeypatch):
    """The bounds are on what is computed: the largest memory is really asked for, and no more."""
    asked = []
    monkeypatch.setattr("hashlib.scrypt", lambda *_, maxmem, **__: asked.append(maxmem) or b"")
    assert not verify_password("x", "$scrypt$ln=17,r=8,p=4$c2FsdA$" + "A" * 43)
    assert asked[0] <= 600 * 1024**2


def test_a_long_password_and_many_rounds(monkeypatch):
    """SHA-crypt costs rounds times bytes, in Python: passlib's own rounds are tried for 142 bytes."""
    asked = []
    monkeypatch.setattr(
        "sojourn.doors.password_formats.sha_crypt",
        lambda password, **_: asked.append(len(password)) or "",
    )
    for rounds in ("rounds=700000$", "rounds=656000$", ""):
        for size in (142, 153, 1_024):
            assert not verify_password("x" * size, f"$6${rounds}salt${'A' * 86}")
    assert [142, 142, 142, 153, 1_024] == asked


@given(st.text())
def test_any_text_is_answered(text):
    """No text is an unexpected error, as a hash or as a password."""
    with pytest.raises(UnknownHash):
        check_hash("$" + text)
    assert not verify_password(text, "!" + text)


def test_passwords_that_fit_nothing():
    """Too long a password, and one that is no text, belong to no hash."""
    made = MAKERS["passlib sha256_crypt"](PASSWORD)
    assert not verify_password("x" * 1_025, made)
    assert not verify_password("\ud800", made)


@pytest.mark.parametrize(
    ("made", "package"), [("bcrypt", "bcrypt"), ("pwdlib argon2", "argon2-cffi")]
)
def test_a_missing_package_is_named(made, package, monkeypatch):
    """Without the extra the message says what to install; a hash that needs none is verified."""
    text = MAKERS[made](PASSWORD)
    for module in ("bcrypt", "argon2"):
        monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(ConfigurationError, match=package):
        verify_password(PASSWORD, text)
    assert verify_password(PASSWORD, MAKERS["werkzeug pbkdf2"](PASSWORD))


async def test_the_servers_own_hasher_takes_them():
    """The server verifies what was imported, asks to renew it, and never fails on what it cannot."""
    hasher = Hasher()
    made = MAKERS["django pbkdf2_sha256"](PASSWORD)
    assert await hasher.verify(PASSWORD, made)
    assert not await hasher.verify("wrong", made)
    assert hasher.needs_rehash(made)
    assert not hasher.needs_rehash(await hasher.hash(PASSWORD))
    for hopeless in ("!unusable", "unknown", "$2b$31$" + "a" * 53):
        assert not await hasher.verify(PASSWORD, hopeless)
    hasher.close()
