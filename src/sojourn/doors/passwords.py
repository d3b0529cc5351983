"""Password hashes of Django, passlib, werkzeug, bcrypt and pwdlib, verified as they stand."""

from __future__ import annotations

from binascii import Error

from sojourn.doors.password_formats import ARGON2, FORMATS, Matches, UnknownHash

__all__ = ["UnknownHash", "check_hash", "needs_upgrade", "verify_password"]

MAX_PASSWORD_BYTES = 1024
MAX_HASH_CHARACTERS = 1024
GOOD_MEMORY_KIB = 19_456
GOOD_PASSES = 2
"""With one lane, OWASP's least for Argon2id."""

UNUSABLE = "!"
"""How a hash begins that no password fits, in Django."""


def verify_password(text: str, password_hash: str) -> bool:
    """Tell whether a password belongs to a hash.

    Args:
        text: The password, as presented; one of more than 1,024 bytes belongs to none, and one of more
            than 142 to no SHA-crypt hash of very many rounds.
        password_hash: As the old library kept it. An unusable one (``!…``) fits nothing.

    Raises:
        UnknownHash: Its format is not known, or it would cost more than is allowed.
        ConfigurationError: Its library is missing: ``pip install 'sojourn[passwords]'``.
    """
    if password_hash.startswith(UNUSABLE):
        return False
    matches = _understood(password_hash)
    try:
        password = text.encode()
    except UnicodeEncodeError:
        return False
    return len(password) <= MAX_PASSWORD_BYTES and matches(password)


def needs_upgrade(password_hash: str) -> bool:
    """Tell whether to replace a hash by a new Argon2id one as soon as its password is at hand."""
    found = ARGON2.fullmatch(password_hash)
    if found is None or not password_hash.startswith("$argon2id$"):
        return True
    return int(found["m"]) < GOOD_MEMORY_KIB or int(found["t"]) < GOOD_PASSES


def check_hash(password_hash: str) -> None:
    """Refuse a hash that could never be verified; an unusable one (``!…``) is none of them.

    Raises:
        UnknownHash: Its format is not known, or it would cost more than is allowed.
    """
    if not password_hash.startswith(UNUSABLE):
        _understood(password_hash)


def _understood(password_hash: str) -> Matches:
    """Find the format of a hash, and give what tells whether a password fits it."""
    if len(password_hash) <= MAX_HASH_CHARACTERS:
        for pattern, read in FORMATS:
            if found := pattern.fullmatch(password_hash):
                try:
                    return read(found)
                except Error:  # no base64 or hexadecimal after all
                    break
    raise UnknownHash(
        "the password hash is of no known format (Argon2, bcrypt, PBKDF2, scrypt and SHA-crypt, as "
        "Django, passlib, werkzeug and pwdlib write them); let its owner set a new password"
    )
