"""How a password hash is written, in each format: what it asks for, and whether a password fits.

What it would cost is judged before anything is computed: a hash from elsewhere may ask for a few
seconds and 256 MiB at most.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b64decode, b64encode
from binascii import Error
from collections.abc import Callable

from sojourn.doors.sha_crypt import sha_crypt
from sojourn.errors import ConfigurationError
from sojourn.server_secret import is_equal

MAX_MEMORY_BYTES = 256 * 1024 * 1024
MAX_ARGON2_WORK_BYTES = 2 * 1024**3
"""Memory times passes: about two seconds."""
MAX_ARGON2_PASSES = 200
MAX_ARGON2_LANES = 64
MAX_SCRYPT_BLOCKS = 4 * 1024**2
BCRYPT_COSTS = range(4, 16)
BCRYPT_BYTES = 72
"""How much of a password bcrypt looks at."""
MAX_PBKDF2_ROUNDS = 10_000_000
SHA_CRYPT_ROUNDS = range(1_000, 700_001)
"""passlib's own are 535,000 and 656,000."""
MAX_SHA_CRYPT_WORK_BYTES = 100_000_000
"""Rounds times the password's length: about half a second, in which no other thread runs."""
DEFAULT_SHA_CRYPT_ROUNDS = 5_000
SCRYPT_DIGEST_BYTES = range(16, 65)

Matches = Callable[[bytes], bool]


class UnknownHash(ConfigurationError):
    """A password hash is of no format that can be verified here, or would cost too much."""


def _require_affordable(*, is_affordable: bool) -> None:
    if not is_affordable:
        raise UnknownHash(
            "verifying the password hash would take more time or memory than is allowed, or its "
            "parameters are none; let its owner set a new password"
        )


# --- Argon2 ---------------------------------------------------------------------------------------

ARGON2 = re.compile(
    r"(?:argon2)?(?P<phc>\$argon2(?:id|i|d)(?:\$v=\d{1,2})?"
    r"\$m=(?P<m>\d{1,8}),t=(?P<t>\d{1,5}),p=(?P<p>\d{1,3})"
    r"\$[A-Za-z0-9+/]{11,128}\$[A-Za-z0-9+/]{16,128})",
    re.ASCII,
)


def _argon2(found: re.Match[str]) -> Matches:
    memory_bytes = int(found["m"]) * 1024
    _require_affordable(
        is_affordable=memory_bytes <= MAX_MEMORY_BYTES
        and memory_bytes * int(found["t"]) <= MAX_ARGON2_WORK_BYTES
        and int(found["t"]) <= MAX_ARGON2_PASSES
        and int(found["p"]) <= MAX_ARGON2_LANES
    )
    try:
        from argon2 import PasswordHasher  # noqa: PLC0415 - an extra
        from argon2.exceptions import InvalidHashError, VerificationError  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise _missing("argon2-cffi") from error

    def matches(password: bytes) -> bool:
        try:
            return PasswordHasher().verify(found["phc"], password)
        except (VerificationError, InvalidHashError):
            return False

    return matches


# --- bcrypt ---------------------------------------------------------------------------------------

_BCRYPT64 = "[./A-Za-z0-9]"
_BCRYPT = rf"\$2[aby]\$\d\d\${_BCRYPT64}{{53}}"
_PLAIN_BCRYPT = re.compile(rf"(?:bcrypt\$)?({_BCRYPT})")
_DJANGO_BCRYPT_SHA256 = re.compile(rf"bcrypt_sha256\$({_BCRYPT})")
_PASSLIB_BCRYPT_SHA256 = re.compile(
    r"\$bcrypt-sha256\$(?:(?P<v2>v=2),t=2b,r=|2[ab],)"
    rf"(?P<cost>\d\d?)\$(?P<salt>{_BCRYPT64}{{22}})\$(?P<digest>{_BCRYPT64}{{31}})"
)


def _plain_bcrypt(found: re.Match[str]) -> Matches:
    return _bcrypt(found[1], lambda password: password[:BCRYPT_BYTES])


def _django_bcrypt_sha256(found: re.Match[str]) -> Matches:
    return _bcrypt(found[1], lambda password: hashlib.sha256(password).hexdigest().encode())


def _passlib_bcrypt_sha256(found: re.Match[str]) -> Matches:
    salt = found["salt"].encode()

    def prepared(password: bytes) -> bytes:
        if found["v2"]:
            return b64encode(hmac.digest(salt, password, "sha256"))
        return b64encode(hashlib.sha256(password).digest())

    return _bcrypt(f"$2b${found['cost']:0>2}${found['salt']}{found['digest']}", prepared)


def _bcrypt(text: str, prepared: Callable[[bytes], bytes]) -> Matches:
    _require_affordable(is_affordable=int(text[4:6]) in BCRYPT_COSTS)
    try:
        import bcrypt  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise _missing("bcrypt") from error

    def matches(password: bytes) -> bool:
        ready = prepared(password)
        # bcrypt ends at a NUL, so that what stands behind it would not count.
        return b"\x00" not in ready and bcrypt.checkpw(ready, text.encode())

    return matches


def _missing(package: str) -> ConfigurationError:
    return ConfigurationError(f"this hash needs {package}: pip install 'sojourn[passwords]'")


# --- PBKDF2 ---------------------------------------------------------------------------------------

_DJANGO_PBKDF2 = re.compile(
    r"pbkdf2_(?P<hash>sha256|sha1)\$(?P<rounds>[1-9]\d{0,8})\$(?P<salt>[^$]+)\$(?P<digest>[\w+/]+=*)",
    re.ASCII,
)
_PASSLIB_PBKDF2 = re.compile(
    r"\$pbkdf2(?:-(?P<hash>sha256|sha512))?\$(?P<rounds>[1-9]\d{0,8})"
    r"\$(?P<salt>[A-Za-z0-9./]*)\$(?P<digest>[A-Za-z0-9./]+)",
    re.ASCII,
)
_WERKZEUG_PBKDF2 = re.compile(
    r"pbkdf2:(?P<hash>sha1|sha224|sha256|sha384|sha512):(?P<rounds>[1-9]\d{0,8})"
    r"\$(?P<salt>[^$]+)\$(?P<digest>[0-9a-f]+)",
    re.ASCII,
)


def _django_pbkdf2(found: re.Match[str]) -> Matches:
    return _pbkdf2(found, found["salt"].encode(), b64decode(found["digest"], validate=True))


def _passlib_pbkdf2(found: re.Match[str]) -> Matches:
    return _pbkdf2(found, _unpadded(found["salt"]), _unpadded(found["digest"]))


def _werkzeug_pbkdf2(found: re.Match[str]) -> Matches:
    return _pbkdf2(found, found["salt"].encode(), _unhex(found["digest"]))


def _pbkdf2(found: re.Match[str], salt: bytes, digest: bytes) -> Matches:
    name, rounds = found["hash"] or "sha1", int(found["rounds"])
    _require_affordable(
        is_affordable=rounds <= MAX_PBKDF2_ROUNDS and len(digest) == hashlib.new(name).digest_size
    )
    return lambda password: is_equal(hashlib.pbkdf2_hmac(name, password, salt, rounds), digest)


def _unpadded(text: str) -> bytes:
    """Undo base64 without padding, whose ``+`` passlib may write as ``.``."""
    return b64decode(text.replace(".", "+") + "=" * (-len(text) % 4), validate=True)


def _unhex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise Error from None


# --- scrypt ---------------------------------------------------------------------------------------

_DJANGO_SCRYPT = re.compile(
    r"scrypt\$(?P<n>\d{1,8})\$(?P<salt>[^$]+)\$(?P<r>\d{1,3})\$(?P<p>\d{1,3})\$(?P<digest>[\w+/]+=*)",
    re.ASCII,
)
_PASSLIB_SCRYPT = re.compile(
    r"\$scrypt\$ln=(?P<ln>\d{1,2}),r=(?P<r>\d{1,3}),p=(?P<p>\d{1,3})"
    r"\$(?P<salt>[A-Za-z0-9+/]*)\$(?P<digest>[A-Za-z0-9+/]+)",
    re.ASCII,
)
_WERKZEUG_SCRYPT = re.compile(
    r"scrypt:(?P<n>\d{1,8}):(?P<r>\d{1,3}):(?P<p>\d{1,3})\$(?P<salt>[^$]+)\$(?P<digest>[0-9a-f]+)",
    re.ASCII,
)


def _django_scrypt(found: re.Match[str]) -> Matches:
    digest = b64decode(found["digest"], validate=True)
    return _scrypt(found, int(found["n"]), found["salt"].encode(), digest)


def _passlib_scrypt(found: re.Match[str]) -> Matches:
    return _scrypt(
        found, 1 << int(found["ln"]), _unpadded(found["salt"]), _unpadded(found["digest"])
    )


def _werkzeug_scrypt(found: re.Match[str]) -> Matches:
    return _scrypt(found, int(found["n"]), found["salt"].encode(), _unhex(found["digest"]))


def _scrypt(found: re.Match[str], n: int, salt: bytes, digest: bytes) -> Matches:
    r, p = int(found["r"]), int(found["p"])
    memory_bytes = 128 * r * (n + p + 2)
    _require_affordable(
        is_affordable=n > 1
        and n & (n - 1) == 0
        and r > 0
        and p > 0
        and memory_bytes <= MAX_MEMORY_BYTES
        and n * r * p <= MAX_SCRYPT_BLOCKS
        and len(digest) in SCRYPT_DIGEST_BYTES
    )

    def matches(password: bytes) -> bool:
        computed = hashlib.scrypt(
            password, salt=salt, n=n, r=r, p=p, maxmem=2 * memory_bytes, dklen=len(digest)
        )
        return is_equal(computed, digest)

    return matches


# --- SHA-crypt ------------------------------------------------------------------------------------

_SHA_CRYPT = re.compile(
    r"\$(?P<kind>[56])\$(?:rounds=(?P<rounds>\d{4,9})\$)?(?P<salt>[^$]{0,16})"
    r"\$(?P<digest>[./A-Za-z0-9]{43}|[./A-Za-z0-9]{86})",
    re.ASCII,
)


def _sha_crypt(found: re.Match[str]) -> Matches:
    rounds = int(found["rounds"] or DEFAULT_SHA_CRYPT_ROUNDS)
    _require_affordable(is_affordable=rounds in SHA_CRYPT_ROUNDS)
    kind, salt = found["kind"], found["salt"].encode()

    def matches(password: bytes) -> bool:
        if rounds * len(password) > MAX_SHA_CRYPT_WORK_BYTES:
            return False
        computed = sha_crypt(password, kind=kind, salt=salt, rounds=rounds)
        return is_equal(computed.encode(), found["digest"].encode())

    return matches


FORMATS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], Matches]], ...] = (
    (ARGON2, _argon2),
    (_PLAIN_BCRYPT, _plain_bcrypt),
    (_DJANGO_BCRYPT_SHA256, _django_bcrypt_sha256),
    (_PASSLIB_BCRYPT_SHA256, _passlib_bcrypt_sha256),
    (_DJANGO_PBKDF2, _django_pbkdf2),
    (_PASSLIB_PBKDF2, _passlib_pbkdf2),
    (_WERKZEUG_PBKDF2, _werkzeug_pbkdf2),
    (_DJANGO_SCRYPT, _django_scrypt),
    (_PASSLIB_SCRYPT, _passlib_scrypt),
    (_WERKZEUG_SCRYPT, _werkzeug_scrypt),
    (_SHA_CRYPT, _sha_crypt),
)
"""Each format and what reads it; the first that fits the whole text."""
