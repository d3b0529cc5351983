"""Base64url without padding (RFC 7515 section 2), in its one canonical spelling.

`base64.urlsafe_b64decode` skips foreign characters, takes ``+/``, padding and non-zero trailing
bits. Here every byte string has exactly one spelling, so that a segment cannot be altered unseen.
"""

from __future__ import annotations

from binascii import b2a_base64

import msgspec

from sojourn.jose.malformed import MalformedError

_EVERY_CHARACTER = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

# To plain base64. Whatever is not base64url becomes "!", which no decoder takes: "+", "/", "=",
# and above all the quotes and backslashes that would mean something in a JSON string (below).
_TO_BASE64 = bytes(
    {0x2D: 0x2B, 0x5F: 0x2F}.get(octet, octet) if octet in _EVERY_CHARACTER else 0x21
    for octet in range(256)
)
_FROM_BASE64 = bytes.maketrans(b"+/", b"-_")

# By length modulo 4: the padding and quote to add, and the last characters whose unused bits are zero.
_PADDING = (b'"', b'"', b'=="', b'="')
_LAST: tuple[frozenset[int], ...] = (
    frozenset(_EVERY_CHARACTER),
    frozenset(),
    frozenset(_EVERY_CHARACTER[::16]),
    frozenset(_EVERY_CHARACTER[::4]),
)

# msgspec reads `bytes` from base64 in a JSON string 2.5 times as fast as binascii does.
_from_json = msgspec.json.Decoder(bytes).decode


def decode(text: bytes) -> bytes:
    """Decode base64url in its canonical spelling.

    Args:
        text: ASCII, unpadded; may be empty.

    Returns:
        The bytes; encoding them again gives `text`.

    Raises:
        MalformedError: The alphabet, the length or the trailing bits are wrong (RFC 7515 section 2).
    """
    if not text:
        return b""
    remainder = len(text) & 3
    if text[-1] not in _LAST[remainder]:
        raise MalformedError("base64_length" if remainder == 1 else "base64_last_character")
    if not text.isalnum():
        text = text.translate(_TO_BASE64)
    try:
        return _from_json(b'"' + text + _PADDING[remainder])
    except msgspec.DecodeError:
        raise MalformedError("base64_alphabet") from None


def encode(data: bytes) -> bytes:
    """Encode as unpadded base64url.

    Args:
        data: Any bytes.

    Returns:
        ASCII text as bytes, without padding or line ends.
    """
    return b2a_base64(data, newline=False).rstrip(b"=").translate(_FROM_BASE64)
