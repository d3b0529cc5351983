"""Base64url: every byte string has exactly one spelling."""

from __future__ import annotations

import base64

import pytest
from hypothesis import example, given, settings, strategies as st

from sojourn.jose import base64url
from sojourn.jose.malformed import MalformedError


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_what_is_encoded_decodes_to_itself(data):
    """Encoding agrees with the standard library, without padding, and is undone."""
    text = base64url.encode(data)
    assert base64.urlsafe_b64encode(data).rstrip(b"=") == text
    assert data == base64url.decode(text)


ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@settings(deadline=None)
@given(
    st.one_of(
        st.binary(max_size=40),
        st.lists(st.sampled_from(list(ALPHABET + b'+/= \n"\\')), max_size=40).map(bytes),
        st.lists(st.sampled_from(list(ALPHABET)), max_size=40).map(bytes),
    )
)
@example(b'"')
@example(b'""""')
@example(b'" "a')
@example(b"\\u0041A")
@example(b"\\/\\/")
@example(b"QQ==")
@example(b"AB")
@example(b"\x00\x00\x00\x00")
def test_exactly_the_canonical_spellings_are_accepted(text):
    """Whatever is accepted is what encoding gives; whatever encoding gives is accepted."""
    is_canonical = not set(text) - set(ALPHABET) and len(text) % 4 != 1
    if is_canonical:
        lenient = base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
        is_canonical = base64.urlsafe_b64encode(lenient).rstrip(b"=") == text
    if is_canonical:
        assert lenient == base64url.decode(text)
    else:
        with pytest.raises(MalformedError):
            base64url.decode(text)


@pytest.mark.parametrize("octet", sorted(set(range(256)) - set(ALPHABET)))
def test_every_foreign_octet_is_refused_at_every_place(octet):
    """RFC 7515 section 2: 64 characters, and no other."""
    for place in range(8):
        text = bytearray(b"AAAAAAAA")
        text[place] = octet
        with pytest.raises(MalformedError):
            base64url.decode(bytes(text))
