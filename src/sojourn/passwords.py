"""Rules for e-mail addresses and new passwords (NIST SP 800-63B-4 section 3.1.1.2)."""

from __future__ import annotations

import re
import unicodedata

from sojourn.errors import InvalidInput
from sojourn.model import is_storable

MIN_CHARACTERS = 15
"""The least for a password that is the only factor."""
MAX_CHARACTERS = 256
"""Far above the 64 that must be allowed; hashing more would serve only attackers."""
MAX_EMAIL_CHARACTERS = 254

# One @, no white space, a dot in the domain: whether mail arrives only sending can show.
_EMAIL = re.compile(r"[^\s@]{1,64}@[^\s@.]+(\.[^\s@.]+)+")


class WeakPassword(InvalidInput):
    """The new password does not meet the rules; for the person choosing it."""

    code = "weak_password"


def normal_email(text: str) -> str:
    """Give the one spelling under which an account is kept and found.

    Raises:
        InvalidInput: It is not an e-mail address.
    """
    # Size first: normalising a long run of combining marks takes quadratic time.
    short = text if len(text) <= 2 * MAX_EMAIL_CHARACTERS else ""
    email = unicodedata.normalize("NFKC", short).strip().casefold()
    if (
        len(email) > MAX_EMAIL_CHARACTERS
        or not is_storable(email)
        or not email.isprintable()
        or not _EMAIL.fullmatch(email)
    ):
        raise InvalidInput("that is not an e-mail address; it reads name@example.com")
    return email


def normal_password(text: str) -> str:
    """Normalise a presented password, so that two keyboards give the same (NFC, section 3.1.1.2).

    Raises:
        InvalidInput: It holds NUL or lone surrogates, or is longer than any accepted one.
    """
    if len(text) > MAX_CHARACTERS or not is_storable(text):
        raise InvalidInput(f"a password has at most {MAX_CHARACTERS} characters of plain text")
    return unicodedata.normalize("NFC", text)


def new_password(text: str, *, email: str) -> str:
    """Judge a chosen password: length, and not made of the address or one repeated character.

    No composition rules and no expiry, as section 3.1.1.2 demands.

    Args:
        text: What was chosen.
        email: The account's address.

    Returns:
        The normalised password.

    Raises:
        WeakPassword: It does not meet the rules; the message says which.
    """
    password = normal_password(text)
    if len(password) < MIN_CHARACTERS:
        raise WeakPassword(
            f"the password has fewer than {MIN_CHARACTERS} characters; a few unrelated words do"
        )
    folded = password.casefold()
    if len(set(folded)) < 5 or folded in email or email in folded:  # noqa: PLR2004
        raise WeakPassword("the password is easy to guess from the address or by its repetition")
    return password
