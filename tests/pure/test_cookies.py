import http.cookies
import re
import time

import pytest
from hypothesis import example, given, strategies as st
from pure.samples import vector_cases

from sojourn.cookies import (
    MAX_COOKIE_BYTES,
    MAX_HEADER_CHARACTERS,
    read_cookies,
    write_cookie,
)
from sojourn.errors import InvalidInput

NAMES = frozenset({"__Host-sojourn", "__Host-sojourn-refresh"})
NAME = "__Host-sojourn"
OCTETS = "".join(chr(c) for c in range(0x21, 0x7F) if chr(c) not in '",;\\')


def read(header, names=NAMES):
    """The values and the duplicated names as plain collections."""
    found = read_cookies(header, names)
    return dict(found.values), set(found.duplicated)


class TestReading:
    @pytest.mark.parametrize(
        ("header", "expected"),
        [
            ("", {}),
            (f"{NAME}=v", {NAME: "v"}),
            (f"a=1; {NAME}=v; b=2", {NAME: "v"}),
            (f"{NAME}=v; {NAME}-refresh=w", {NAME: "v", f"{NAME}-refresh": "w"}),
            (f"{NAME}=", {NAME: ""}),
            (f"{NAME}=a=b==", {NAME: "a=b=="}),
            (f"{NAME}={OCTETS}", {NAME: OCTETS}),
            # white space around names and values is not part of them (RFC 6265bis section 5.6)
            (f" \t{NAME} \t=\t v \t", {NAME: "v"}),
            (f"a=1;{NAME}=v;;;b=2", {NAME: "v"}),
            (f";{NAME}=v;", {NAME: "v"}),
            # nothing but an exact name
            (f"{NAME.lower()}=v", {}),
            (f"{NAME.upper()}=v", {}),
            (f"{NAME}x=v", {}),
            (f"x{NAME}=v", {}),
            ("sojourn=v", {}),
            ("__Secure-sojourn=v", {}),
            (f"{NAME}-access=v", {}),
            (f"{NAME}\x00=v", {}),
            (f"\x0b{NAME}=v", {}),
            (f"\xa0{NAME}=v", {}),
            (f"{NAME}\n=v", {}),
            (f'"{NAME}"=v', {}),
            (f"${NAME}=v", {}),
            ("%5f_Host-sojourn=v", {}),
            # nameless cookies and names without "="
            ("=v", {}),
            (f"={NAME}=v", {}),
            (f"{NAME}", {}),
            ("; ; =; ==", {}),
            # values that are no cookie-octets (RFC 6265bis section 4.1.1)
            (f'{NAME}="v"', {}),
            (f'{NAME}=v"', {}),
            (f"{NAME}=a b", {}),
            (f"{NAME}=a,b", {}),
            (f"{NAME}=a\\b", {}),
            (f"{NAME}=a\x00b", {}),
            (f"{NAME}=a\x1fb", {}),
            (f"{NAME}=a\x7fb", {}),
            (f"{NAME}=v\n", {}),
            (f"{NAME}=v\r\nx: y", {}),
            (f"{NAME}=é", {}),
            (f"{NAME}=\xff", {}),
            (f"{NAME}=\u0661", {}),
        ],
    )
    def test_what_is_found(self, header, expected):
        """Exact names, cookie-octets, split at every ";" as browsers join them."""
        assert read(header) == (expected, set())

    @pytest.mark.parametrize(
        "header",
        [
            f"{NAME}=a; {NAME}=b",
            f"{NAME}=a; {NAME}=a",
            f"{NAME}=a; x=1; {NAME} =b",
            f"{NAME}=a; {NAME}=",
            f'{NAME}=a; {NAME}="b"',
            f'{NAME}="b"; {NAME}=a',
            f"{NAME}=a; {NAME}=b; {NAME}=c",
            f"{NAME}=\x00; {NAME}=a",
        ],
    )
    def test_a_duplicated_name_has_no_value(self, header):
        """Who could plant a second cookie could choose the session: neither is believed."""
        assert read(header) == ({}, {NAME})

    @pytest.mark.parametrize(
        ("header", "copies"),
        [
            (f"{NAME}=a", ()),
            (f"{NAME}=a; {NAME}-refresh=r", ()),
            (f"{NAME}=a; {NAME}=b", ((NAME, "a"), (NAME, "b"))),
            (f"{NAME}=a; {NAME}=a", ((NAME, "a"),)),
            (
                f"{NAME}=a; {NAME}-refresh=r; {NAME}=b; {NAME}-refresh=s",
                (
                    (NAME, "a"),
                    (NAME, "b"),
                    (f"{NAME}-refresh", "r"),
                    (f"{NAME}-refresh", "s"),
                ),
            ),
            (f"x=1; x=2; {NAME}=a; {NAME}=", ((NAME, "a"), (NAME, ""))),
        ],
    )
    def test_every_copy_is_told(self, header, copies):
        """None of them is believed, but a logout wants to end what any of them proves."""
        assert read_cookies(header, NAMES).copies == copies

    def test_copies_are_not_shown(self):
        """One of them is somebody's credential."""
        assert "secret" not in repr(read_cookies(f"{NAME}=secret1; {NAME}=secret2", NAMES))

    def test_a_duplicate_of_one_leaves_the_other(self):
        """Only the name that occurs twice is without a value."""
        header = f"{NAME}=a; {NAME}-refresh=r; {NAME}=b"
        assert read(header) == ({f"{NAME}-refresh": "r"}, {NAME})

    def test_duplicates_of_other_names_do_not_matter(self):
        """Another application's cookies may repeat as they like."""
        assert read(f"x=1; x=2; {NAME}=v") == ({NAME: "v"}, set())

    def test_a_quoted_version_string_swallows_nothing(self):
        """The `$Version` trick: a quote in somebody's cookie hides none of ours.

        Python's own reader takes everything up to the closing quote for one value, so that a
        sibling domain's cookie could make the session disappear, or leak it into another value.
        """
        header = f'$Version=1; x="a; {NAME}=v; y=b"; z=1'
        assert NAME not in http.cookies.SimpleCookie(header)
        assert read(header) == ({NAME: "v"}, set())

    def test_quotes_do_not_protect_a_semicolon(self):
        """A quoted value ends at ";" as it does in every browser."""
        assert read(f'{NAME}="a;b"') == ({}, set())

    def test_escapes_are_not_decoded(self):
        """Octal and percent escapes stay what they are: there is one spelling of a value."""
        assert read(f"{NAME}=%41") == ({NAME: "%41"}, set())
        assert read(f'{NAME}="\\101"') == ({}, set())

    def test_the_largest_header_is_read(self):
        """64 Ki characters are read to the end."""
        tail = f"; {NAME}=v"
        header = "x" * (MAX_HEADER_CHARACTERS - len(tail)) + tail
        assert read(header) == ({NAME: "v"}, set())
        assert read("x" + header) == ({}, set())

    @pytest.mark.parametrize(
        "piece", [";", "=", "a=b;", f"{NAME}=v;", '"', "\\", " ", "\t;", f"{NAME};", "\x00"]
    )
    def test_a_megabyte_costs_nothing(self, piece):
        """A header of 1 MB of anything is refused in well under a millisecond, without an error."""
        header = piece * (1_000_000 // len(piece))
        started = time.perf_counter()
        assert read(header) == ({}, set())
        assert time.perf_counter() - started < 0.05

    @pytest.mark.parametrize("piece", [";", "=;", "a=b;", f"{NAME}=v;", " \t;", f"{NAME}=\t "])
    def test_the_worst_header_that_is_read_is_linear(self, piece):
        """64 KiB of separators, repetitions or white space take no more than some milliseconds."""
        header = piece * (MAX_HEADER_CHARACTERS // len(piece))
        started = time.perf_counter()
        read(header)
        assert time.perf_counter() - started < 0.5

    @given(st.text() | st.text(alphabet=f'{NAME};="\\$ \t,\x00é'))
    @example("$Version=1;" + "=" * 99)
    def test_any_header_is_taken_without_an_error(self, header):
        """Whatever is sent: no exception, exact names, octets, and no value for a duplicate."""
        values, duplicated = read(header)
        assert values.keys() | duplicated <= NAMES
        assert not values.keys() & duplicated
        assert all(set(value) <= set(OCTETS) for value in values.values())

    @given(
        st.dictionaries(
            st.sampled_from(["a", "b", "c", NAME]), st.text(alphabet=OCTETS), max_size=4
        ),
        st.sampled_from(["; ", ";", " ; ", ";\t"]),
    )
    def test_what_a_browser_sends_is_what_is_read(self, cookies, separator):
        """Each cookie in any place and with any separator browsers have used comes back whole."""
        header = separator.join(f"{name}={value}" for name, value in cookies.items())
        assert read(header, frozenset("abc") | {NAME}) == (cookies, set())


# --- public cases ---------------------------------------------------------------------------------
# What user agents store for a Set-Cookie header and then send. The reader must find what they send;
# where it does not, it is stricter, for the reason given here.

QUOTES = "a quote is no cookie-octet; none of our values has one"
SPACE = "white space within a value is no cookie-octet"
COMMA = "a comma is no cookie-octet"
NON_ASCII = "bytes beyond ASCII are no cookie-octets"
STRICTER = {
    "0017": COMMA,
    "CHARSET0001": NON_ASCII,
    "CHARSET0003": NON_ASCII,
    "CHROMIUM0003": QUOTES,
    "CHROMIUM0005": QUOTES,
    "CHROMIUM0007": QUOTES,
    "CHROMIUM0011": QUOTES,
    "CHROMIUM0015": SPACE,
    "COMMA0001": COMMA,
    "MOZILLA0012": QUOTES,
    "VALUE0003": QUOTES,
    "VALUE0005": QUOTES,
}


@pytest.mark.parametrize("case", vector_cases("cookies/http_state_parser.json"))
def test_published_cases_are_read_as_sent_or_more_strictly(case):
    """IETF http-state cases: the same cookies, but for those whose value is no cookie-octets."""
    sent = {
        c["name"].encode().decode("latin-1"): c["value"].encode().decode("latin-1")
        for c in case["sent"]
    }
    assert len(sent) == len(case["sent"])  # no case sends a name twice
    header = "; ".join(f"{name}={value}" for name, value in sent.items())
    octets = {n: v for n, v in sent.items() if re.fullmatch(f"[{re.escape(OCTETS)}]*", v)}
    assert read(header, frozenset(sent)) == (octets, set())
    assert (octets != sent) == (case["test"] in STRICTER)


@pytest.mark.parametrize("case", vector_cases("cookies/http_state_parser.json"))
def test_published_set_cookie_lines_do_no_harm_as_cookie_headers(case):
    """The raw lines, sent back by a confused client, plant nothing under our names."""
    header = "; ".join(line.encode().decode("latin-1") for line in case["received"])
    assert read(header) == ({}, set())
    assert read(f"{header}; {NAME}=v") == ({NAME: "v"}, set())


class TestWriting:
    @pytest.mark.parametrize(
        ("given_", "expected"),
        [
            (
                {"secure": True, "same_site": "lax", "max_age_seconds": 60},
                "n=v; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=60",
            ),
            (
                {"secure": True, "same_site": "strict", "max_age_seconds": None},
                "n=v; Path=/; HttpOnly; SameSite=Strict; Secure",
            ),
            (
                {"secure": False, "same_site": "lax", "max_age_seconds": 0},
                "n=v; Path=/; HttpOnly; SameSite=Lax; Max-Age=0",
            ),
            (
                {
                    "secure": True,
                    "same_site": "none",
                    "max_age_seconds": 1,
                    "domain": "example.com",
                },
                "n=v; Path=/; HttpOnly; SameSite=None; Secure; Max-Age=1; Domain=example.com",
            ),
        ],
    )
    def test_the_attributes(self, given_, expected):
        """HttpOnly and Path=/ always; no Domain and no Max-Age unless asked for."""
        assert write_cookie("n", "v", **given_) == expected

    @pytest.mark.parametrize(
        "value",
        ["a;b", "a; Domain=evil", 'a"b', "a b", "a,b", "a\\b", "a\r\nb", "é", "a\x00", "a\n"],
    )
    def test_a_value_cannot_add_attributes(self, value):
        """Nothing but cookie-octets is written (RFC 6265bis section 4.1.1)."""
        with pytest.raises(InvalidInput, match="is not made of cookie-octets") as caught:
            write_cookie("n", value, secure=True, same_site="lax", max_age_seconds=1)
        assert value not in str(caught.value)

    def test_name_and_value_fit_in_4096_bytes(self):
        """Exactly 4,096 is kept by browsers; one more is refused with what to do."""
        most = "x" * (MAX_COOKIE_BYTES - len(NAME))
        options = {"secure": True, "same_site": "lax", "max_age_seconds": None}
        assert write_cookie(NAME, most, **options).startswith(f"{NAME}={most}; ")
        with pytest.raises(InvalidInput) as caught:
            write_cookie(NAME, most + "x", **options)
        assert str(caught.value) == (
            f"cookie {NAME} would be 4097 bytes and browsers keep 4096; "
            "put fewer claims into the token, or use mode 'session'"
        )

    @given(st.text(alphabet=OCTETS, max_size=200))
    def test_what_is_written_is_read(self, value):
        """A value survives the way to the browser and back."""
        line = write_cookie(NAME, value, secure=True, same_site="lax", max_age_seconds=1)
        assert read(line.partition("; ")[0]) == ({NAME: value}, set())
