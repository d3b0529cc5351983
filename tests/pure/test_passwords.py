import time
import unicodedata

import pytest
from hypothesis import given, strategies as st

from sojourn.errors import InvalidInput
from sojourn.passwords import (
    MAX_CHARACTERS,
    MIN_CHARACTERS,
    WeakPassword,
    new_password,
    normal_email,
    normal_password,
)

EMAIL = "alice@example.com"


class TestEmail:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("alice@example.com", EMAIL),
            ("Alice@EXAMPLE.com", EMAIL),
            ("  alice@example.com\n", EMAIL),
            (
                "ａｌｉｃｅ＠ｅｘａｍｐｌｅ．ｃｏｍ",
                EMAIL,
            ),  # full width, as East Asian keyboards type
            ("a+b.c_d%e@sub.example.co.uk", "a+b.c_d%e@sub.example.co.uk"),
            ("straße@example.com", "strasse@example.com"),
            ("é@example.com", "é@example.com"),
            ("e\u0301@example.com", "é@example.com"),
            ("用户@例子.公司", "用户@例子.公司"),
            ("x" * 64 + "@example.com", "x" * 64 + "@example.com"),
        ],
    )
    def test_one_account_has_one_spelling(self, text, expected):
        """Case, width, composition and surrounding space do not make a second account."""
        assert normal_email(text) == expected

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "alice",
            "@example.com",
            "alice@",
            "alice@localhost",
            "alice@example.",
            "alice@.com",
            "alice@example..com",
            "a@b@example.com",
            "al ice@example.com",
            "alice@exam ple.com",
            "alice\x00@example.com",
            "alice\ud800@example.com",
            "alice\r\nBcc: x@example.com",
            "alice\u202e@example.com",  # right-to-left override: looks like another
            "ali\u200bce@example.com",  # zero width: looks the same
            "x" * 65 + "@example.com",
            "a@" + "x" * 250 + ".com",
            "\ufdfa" * 60 + "@example.com",  # 18 characters each when normalised
        ],
    )
    def test_what_is_no_address_is_refused(self, text):
        """Nothing invisible, ambiguous or without a domain; the message shows the form only."""
        with pytest.raises(InvalidInput) as caught:
            normal_email(text)
        assert str(caught.value) == "that is not an e-mail address; it reads name@example.com"

    @given(st.text() | st.emails() | st.text(alphabet="aA@.ſİǰßΐ\u0345\u0301ŉﬃ ", max_size=20))
    def test_normalising_twice_changes_nothing(self, text):
        """The kept spelling is its own spelling, so an account is found by what was kept."""
        try:
            email = normal_email(text)
        except InvalidInput:
            return
        assert normal_email(email) == email
        assert normal_email(email.upper().lower()) == normal_email(email.lower())

    @pytest.mark.parametrize("piece", ["a", "\u0315\u0300", "a.", "@", "\ufdfa", " ", "a@a."])
    def test_a_megabyte_is_refused_at_once(self, piece):
        """Normalising a long run of combining marks takes quadratic time, so size comes first."""
        started = time.perf_counter()
        with pytest.raises(InvalidInput):
            normal_email(piece * (1_000_000 // len(piece)))
        assert time.perf_counter() - started < 0.1


class TestPresented:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("", ""),
            (" spaces stay ", " spaces stay "),
            ("e\u0301", "é"),
            ("Ω", "Ω"),  # OHM SIGN becomes GREEK CAPITAL OMEGA in NFC
            ("ﬁ", "ﬁ"),  # compatibility forms stay apart: NFC, not NFKC
            ("x" * MAX_CHARACTERS, "x" * MAX_CHARACTERS),
        ],
    )
    def test_two_keyboards_give_one_password(self, text, expected):
        """NFC and nothing else: no trimming, no case folding, no cut (section 3.1.1.2)."""
        assert normal_password(text) == expected

    @pytest.mark.parametrize("text", ["x" * 257, "a\x00b", "\ud800", "x" * 1_000_000])
    def test_what_no_hash_should_see_is_refused(self, text):
        """Longer than any accepted one, NUL, lone surrogates: refused and not shown."""
        with pytest.raises(InvalidInput) as caught:
            normal_password(text)
        assert str(caught.value) == "a password has at most 256 characters of plain text"

    @given(st.text(max_size=MAX_CHARACTERS))
    def test_normalising_twice_changes_nothing(self, text):
        """What was hashed at registration is what is compared at sign-in."""
        try:
            password = normal_password(text)
        except InvalidInput:
            return
        assert unicodedata.normalize("NFC", password) == password


class TestChosen:
    @pytest.mark.parametrize(
        "text",
        [
            "correct horse battery staple",
            "aaaaaaaaaabcdef",  # 15 characters, six different
            "日本語のとても長い合言葉です。。",
            "x9" * 100 + "abc",
            "               abcd",
        ],
    )
    def test_length_is_enough(self, text):
        """No composition rules: words, one alphabet, any script (SP 800-63B-4 section 3.1.1.2)."""
        assert new_password(text, email=EMAIL) == unicodedata.normalize("NFC", text)

    def test_at_least_64_characters_are_allowed(self):
        """Section 3.1.1.2 demands 64 at least; 256 are allowed here."""
        text = "0123456789abcdef" * 16
        assert len(new_password(text, email=EMAIL)) == MAX_CHARACTERS == 256

    @pytest.mark.parametrize("text", ["", "short", "fourteen chars", "e\u0301" * 7 + "abcdefg"])
    def test_fewer_than_fifteen_are_refused(self, text):
        """Counted in characters after normalisation; the message says how many are needed."""
        with pytest.raises(WeakPassword) as caught:
            new_password(text, email=EMAIL)
        assert MIN_CHARACTERS == 15
        assert str(caught.value) == (
            "the password has fewer than 15 characters; a few unrelated words do"
        )

    @pytest.mark.parametrize(
        "text",
        [
            "aaaaaaaaaaaaaaa",
            "               ",
            "abababababababab",
            "AaBbAaBbAaBbAaBb",
            EMAIL,
            "ALICE@EXAMPLE.COM",
            f"1{EMAIL}!",
            "lice@example.com",
        ],
    )
    def test_repetition_and_the_address_are_refused(self, text):
        """Under five different characters, or the address in any case, whole or part of it."""
        with pytest.raises(WeakPassword, match="easy to guess"):
            new_password(text, email=EMAIL)

    def test_what_no_hash_should_see_is_refused(self):
        """A choice passes the rules of what may be presented later."""
        with pytest.raises(InvalidInput, match="at most 256"):
            new_password("abcde" * 60, email=EMAIL)

    def test_weakness_has_a_code_of_its_own(self):
        """A form tells "too weak" from other invalid input."""
        assert (WeakPassword.code, WeakPassword.status) == ("weak_password", 400)
