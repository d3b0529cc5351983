import itertools
import re
import time

import pytest
from hypothesis import given, strategies as st
from pure.samples import SECRET, SEED, SID, some_settings

from sojourn.browser import SAFE_METHODS, Browser, CookieNames, Credentials
from sojourn.errors import ConfigurationError
from sojourn.handles import mint
from sojourn.messages import NOTHING_TO_SEND, Incoming
from sojourn.model import Purpose

OWN = "https://app.example.com"
TRUSTED = "https://spa.example.net"
BROWSER = Browser(some_settings())
HANDLE = mint(SECRET, purpose=Purpose.SESSION, sid=SID, generation=1, seed=SEED)


def credentials(cookies="", *authorization):
    """What a request with these headers presents."""
    headers = [(b"cookie", cookies.encode())] if cookies else []
    headers += [(b"authorization", text.encode()) for text in authorization]
    return BROWSER.credentials(Incoming.of("GET", headers))


class TestNames:
    @pytest.mark.parametrize(
        ("given_", "expected"),
        [
            ({}, "__Host-sojourn"),
            ({"cookie_name": "app"}, "__Host-app"),
            ({"cookie_domain": "example.com"}, "__Secure-sojourn"),
            ({"cookie_domain": "example.com", "cookie_name": "app"}, "__Secure-app"),
            ({"url": "http://localhost:8000"}, "sojourn-8000"),
            ({"url": "http://localhost"}, "sojourn-80"),
            ({"url": "http://localhost:8000", "cookie_name": "app"}, "app"),
            ({"url": "http://localhost:8000", "cookie_domain": "localhost"}, "sojourn-8000"),
        ],
    )
    def test_the_prefix_follows_from_url_and_domain(self, given_, expected):
        """`__Host-` unless shared, `__Secure-` then; bare with the port in development."""
        names = CookieNames.of(some_settings(**given_))
        assert names == CookieNames(
            expected, f"{expected}-access", f"{expected}-refresh", f"{expected}-guest"
        )

    def test_every_name_is_counted(self):
        """Four names, all different."""
        assert len(BROWSER.names.every) == 4

    def test_two_ports_of_localhost_do_not_share_cookies(self):
        """Cookies do not tell ports apart (RFC 6265 section 8.5), so the default names do."""
        one, other = (
            CookieNames.of(some_settings(url=f"http://localhost:{port}")).every
            for port in (8000, 8001)
        )
        assert one & other == frozenset()


class TestSetCookie:
    @given(
        st.sampled_from([OWN, "https://app.example.com:8443", "http://localhost:8000"]),
        st.sampled_from(["", "app", "A_-9"]),
        st.booleans(),
        st.sampled_from(["lax", "strict"]),
        st.none() | st.integers(0, 400 * 86_400),
    )
    def test_no_browser_would_drop_what_is_set(self, url, name, is_shared, same_site, max_age):
        """RFC 6265bis sections 4.1.3 and 5.7: what each prefix promises is kept, in all settings."""
        domain = re.sub(r"^\w+://(\w+\.)?|:\d+$", "", url) if is_shared else None
        settings = some_settings(
            url=url, cookie_name=name, cookie_domain=domain, same_site=same_site
        )
        browser = Browser(settings)
        for each in browser.names.every:
            outgoing = browser.set_cookies({each: "v"}, max_age_seconds=max_age)
            pair, *attributes = dict(outgoing.headers)["Set-Cookie"].split("; ")
            assert pair == f"{each}=v"
            assert {"Path=/", "HttpOnly", f"SameSite={same_site.capitalize()}"} <= {*attributes}
            has_domain = any(a.startswith("Domain=") for a in attributes)
            assert has_domain == (domain is not None)
            assert ("Secure" in attributes) == url.startswith("https:")
            if each.startswith("__Host-"):
                assert "Secure" in attributes
                assert not has_domain
            if each.startswith("__"):
                assert "Secure" in attributes

    @pytest.mark.parametrize("name", ["__Host-x", "__Secure-x", "__host-x", "__x"])
    def test_a_prefix_is_never_given_by_hand(self, name):
        """In development it would have the browser drop the cookie; else it would be doubled."""
        with pytest.raises(ConfigurationError, match="prefix is added by itself"):
            some_settings(cookie_name=name)

    def test_a_response_that_sets_a_cookie_is_nobody_elses(self):
        """`no-store` and `Vary: Cookie` go with every cookie (CVE-2023-30861 in Flask)."""
        outgoing = BROWSER.set_cookies({"__Host-sojourn": "v"}, max_age_seconds=60)
        assert outgoing.headers == (
            (
                "Set-Cookie",
                "__Host-sojourn=v; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=60",
            ),
            ("Cache-Control", "no-store"),
            ("Vary", "Cookie"),
        )

    def test_removing_takes_all_of_ours_back(self):
        """Each name is emptied with Max-Age=0 and the attributes it was set with."""
        outgoing = BROWSER.remove_cookies()
        cookies = [value for name, value in outgoing.headers if name == "Set-Cookie"]
        assert cookies == [
            f"{name}=; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=0"
            for name in sorted(BROWSER.names.every)
        ]

    def test_removing_with_a_domain_names_the_domain(self):
        """A browser keeps a cookie whose removal lacks its Domain."""
        browser = Browser(some_settings(cookie_domain="example.com"))
        outgoing = browser.remove_cookies(frozenset({browser.names.handle}))
        assert outgoing.headers[0] == (
            "Set-Cookie",
            (
                "__Secure-sojourn=; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=0; "
                "Domain=example.com"
            ),
        )

    @pytest.mark.parametrize(
        ("mode", "expected"),
        [
            ("session", ["access", "refresh"]),
            ("jwt", ["", "refresh"]),
            ("hybrid", [""]),
        ],
    )
    def test_a_login_takes_back_the_cookies_of_other_modes(self, mode, expected):
        """No older proof of another mode is left beside the new one; a visitor's data stays."""
        cookies = "; ".join(f"{name}=v" for name in sorted(BROWSER.names.every))
        outgoing = BROWSER.remove_others(Incoming(cookies=cookies), mode)
        removed = [v.partition("=")[0] for n, v in outgoing.headers if n == "Set-Cookie"]
        assert removed == ["-".join(filter(None, ("__Host-sojourn", e))) for e in expected]

    def test_a_login_takes_back_planted_duplicates_too(self):
        """A duplicated cookie of another mode has no value and is removed all the same."""
        incoming = Incoming(cookies="__Host-sojourn-refresh=a; __Host-sojourn-refresh=b")
        outgoing = BROWSER.remove_others(incoming, "session")
        assert "__Host-sojourn-refresh=; " in outgoing.headers[0][1]

    def test_where_nothing_is_left_over_nothing_is_sent(self):
        """A first login removes nothing."""
        assert BROWSER.remove_others(Incoming(cookies="x=1"), "session") == NOTHING_TO_SEND
        assert BROWSER.no_store().headers == (("Cache-Control", "no-store"),)


class TestCredentials:
    @pytest.mark.parametrize(
        ("cookies", "expected"),
        [
            ("", Credentials()),
            ("x=1", Credentials()),
            ("__Host-sojourn=h", Credentials("cookie", handle="h")),
            ("__Host-sojourn-access=a", Credentials("cookie", access="a")),
            ("__Host-sojourn-refresh=r", Credentials("cookie", refresh="r")),
            ("__Host-sojourn-guest=g", Credentials("cookie", guest="g")),
            (
                "__Host-sojourn-access=a; __Host-sojourn-refresh=r; __Host-sojourn-guest=g",
                Credentials("cookie", access="a", refresh="r", guest="g"),
            ),
            ("sojourn=h", Credentials()),
            ("__Secure-sojourn=h", Credentials()),
            (
                "__Host-sojourn=h; __Host-sojourn=i",
                Credentials(is_ambiguous=True),
            ),
            # a visitor's cookie that came twice is no visitor's, and says nothing of the others
            (
                "__Host-sojourn=h; __Host-sojourn-guest=a; __Host-sojourn-guest=b",
                Credentials("cookie", handle="h"),
            ),
            ("__Host-sojourn-guest=a; __Host-sojourn-guest=b", Credentials("cookie")),
        ],
    )
    def test_by_cookie(self, cookies, expected):
        """Our exact names; if one of them came twice, none is believed."""
        assert credentials(cookies) == expected

    @pytest.mark.parametrize(
        ("authorization", "expected"),
        [
            ("Bearer a.b.c", Credentials("bearer", access="a.b.c")),
            ("bearer a.b.c", Credentials("bearer", access="a.b.c")),  # RFC 9110 section 11.1
            ("BEARER  a.b.c ", Credentials("bearer", access="a.b.c")),
            (f"Bearer {HANDLE}", Credentials("bearer", handle=HANDLE)),
            ("Bearer sj_garbage", Credentials("bearer", handle="sj_garbage")),
            ("Bearer SJ_x", Credentials("bearer", access="SJ_x")),
            # an empty bearer is presented and wrong, not absent
            ("Bearer", Credentials("bearer", access="-")),
            ("Bearer ", Credentials("bearer", access="-")),
            ("Bearer    ", Credentials("bearer", access="-")),
            # other schemes are somebody else's
            ("Basic YTpi", Credentials()),
            ("DPoP a.b.c", Credentials()),
            ("Digest x", Credentials()),
            ("BearerX a.b.c", Credentials()),
            ("Bearer\ta.b.c", Credentials()),
            ("Token a.b.c", Credentials()),
            ("a.b.c", Credentials()),
            (HANDLE, Credentials()),
        ],
    )
    def test_by_header(self, authorization, expected):
        """RFC 6750 section 2.1: the Bearer scheme; `sj_` says an opaque handle."""
        assert credentials("", authorization) == expected

    def test_two_authorization_headers_are_neither(self):
        """Both orders: the joined text is no token, so it is judged and refused."""
        assert credentials("", "Bearer a.b.c", "Bearer d.e.f").access == "a.b.c, Bearer d.e.f"
        assert credentials("", f"Bearer {HANDLE}", f"Bearer {HANDLE}").handle != HANDLE
        assert credentials("", "Basic YTpi", "Bearer a.b.c") == Credentials()

    @pytest.mark.parametrize("text", ["a.b.c", HANDLE, "", "garbage"])
    def test_the_bearer_counts_where_both_are_there(self, text):
        """A cookie beside a bearer signs nobody in, even where the bearer is bad; not even twice."""
        for cookies in (
            "__Host-sojourn=h; __Host-sojourn-access=a; __Host-sojourn-refresh=r",
            "__Host-sojourn=h; __Host-sojourn=i",
        ):
            both = credentials(cookies, f"Bearer {text}")
            assert both == credentials("", f"Bearer {text}")
            assert both.transport == "bearer"

    def test_another_scheme_leaves_the_cookie(self):
        """Basic authentication of a proxy in front does not sign anybody out."""
        assert credentials("__Host-sojourn=h", "Basic YTpi") == Credentials("cookie", handle="h")

    def test_a_visitors_data_go_with_a_bearer(self):
        """The guest's cookie is read beside a bearer, unless it came twice."""
        assert credentials("__Host-sojourn-guest=g", "Bearer x").guest == "g"
        twice = "__Host-sojourn-guest=g; __Host-sojourn-guest=h"
        assert credentials(twice, "Bearer x").guest == ""

    @pytest.mark.parametrize(
        ("presented", "expected"),
        [
            (Credentials(), True),
            (Credentials(guest="g"), True),
            (Credentials(is_ambiguous=True), True),
            (Credentials(handle="h"), False),
            (Credentials(access="a"), False),
            (Credentials(refresh="r"), False),
        ],
    )
    def test_what_could_sign_nobody_in_is_empty(self, presented, expected):
        """A visitor's data is no sign-in."""
        assert presented.is_empty is expected

    @given(st.text(alphabet="Bearsj_ \t,=;.\x00é-"), st.text(alphabet="_Host-sojurn=; \x00"))
    def test_reading_never_fails(self, authorization, cookies):
        """Any pair of headers is read without an exception."""
        found = BROWSER.credentials(Incoming(authorization=authorization, cookies=cookies))
        assert found.transport in {"cookie", "bearer"}


class TestAfter:
    @pytest.mark.parametrize(
        ("before", "changes", "expected"),
        [
            ("__Host-sojourn-access=old", {"__Host-sojourn-access": "new"}, {"access": "new"}),
            ("", {"__Host-sojourn": "h"}, {"handle": "h"}),
            (
                "__Host-sojourn-access=a; __Host-sojourn-refresh=old; __Host-sojourn-guest=g",
                {"__Host-sojourn-refresh": "new"},
                {"access": "a", "refresh": "new", "guest": "g"},
            ),
            ("__Host-sojourn=h; __Host-sojourn-guest=g", {"__Host-sojourn": ""}, {"guest": "g"}),
            ("__Host-sojourn=h; __Host-sojourn=i", {"__Host-sojourn": "n"}, {"handle": "n"}),
            ("__Host-sojourn=h", {}, {"handle": "h"}),
            (
                "__Host-sojourn=a=b",
                {"__Host-sojourn-access": "c=d"},
                {"handle": "a=b", "access": "c=d"},
            ),
        ],
    )
    def test_a_request_goes_on_as_the_browser_would_send_it_next(self, before, changes, expected):
        """What was set replaces what was presented, what was removed is gone, the rest stays."""
        incoming = Incoming(method="POST", origin=OWN, peer="192.0.2.1", cookies=before)
        after = BROWSER.after(incoming, BROWSER.set_cookies(changes, max_age_seconds=60))
        assert BROWSER.credentials(after) == Credentials("cookie", **expected)
        assert (after.method, after.origin, after.peer) == ("POST", OWN, "192.0.2.1")

    def test_without_any_cookie_nothing_is_presented(self):
        """Removing everything leaves a request that signs nobody in."""
        incoming = Incoming(cookies="; ".join(f"{n}=v" for n in BROWSER.names.every))
        assert BROWSER.after(incoming, BROWSER.remove_cookies()) == Incoming()


# --- CSRF -----------------------------------------------------------------------------------------

UNSAFE = ("POST", "PUT", "PATCH", "DELETE", "CONNECT", "WEBSOCKET", "QUERY", "post", "get", "")
SITES = ("", "same-origin", "none", "same-site", "cross-site", "Same-Origin", "garbage")
ABSENT_ORIGIN = {"": False, "same-origin": False, "none": False}
IS_CROSS_SITE = {
    # origin: what each Sec-Fetch-Site means beside it; any other one is cross-site
    "": ABSENT_ORIGIN,
    OWN: dict.fromkeys(SITES, False),
    TRUSTED: dict.fromkeys(SITES, False),
    # Referrer-Policy: no-referrer has a browser send "null" from our own pages (Fetch, "append a
    # request Origin header"); Sec-Fetch-Site still knows, and no page can forge it.
    "null": {"same-origin": False},
    "https://evil.example": {},
    "http://app.example.com": {},
    "https://app.example.com:8443": {},
    "https://app.example.com.evil.example": {},
    "https://APP.example.com": {},
    "https://app.example.com/": {},
    f"{OWN}, {OWN}": {},
    "*": {},
}


@pytest.mark.parametrize("origin", IS_CROSS_SITE)
@pytest.mark.parametrize("site", SITES)
def test_the_csrf_table(origin, site):
    """Unsafe methods need Origin or Sec-Fetch-Site to say "ours"; neither means no browser."""
    browser = Browser(some_settings(trusted_origins=(TRUSTED,)))
    expected = IS_CROSS_SITE[origin].get(site, True)
    answers = {
        method: browser.is_cross_site(Incoming(method=method, origin=origin, sec_fetch_site=site))
        for method in (*UNSAFE, *SAFE_METHODS)
    }
    assert answers == dict.fromkeys(UNSAFE, expected) | dict.fromkeys(SAFE_METHODS, False)


def test_without_trust_another_origin_is_cross_site():
    """The trusted row holds by the setting alone."""
    for site in SITES:
        incoming = Incoming(method="POST", origin=TRUSTED, sec_fetch_site=site)
        assert BROWSER.is_cross_site(incoming) is True


class TestWhatIsSaidOfAnotherSite:
    @pytest.mark.parametrize("origin", ["", "null"])
    def test_where_the_page_is_unknown_only_ours_is_named(self, origin):
        """No origin, or an opaque one, is nothing that could be added to trusted_origins."""
        said = str(BROWSER.cross_site_error(Incoming(method="POST", origin=origin)))
        assert OWN in said
        assert "trusted_origins" not in said
        assert "null" not in said

    def test_both_origins_are_named(self):
        """Whoever reads it sees which page sent it, and what to add if the page is theirs."""
        said = str(BROWSER.cross_site_error(Incoming(method="POST", origin=TRUSTED)))
        assert TRUSTED in said
        assert OWN in said
        assert "trusted_origins" in said

    def test_a_long_origin_is_cut(self):
        """What a stranger wrote into a header is not repeated without end."""
        said = str(BROWSER.cross_site_error(Incoming(method="POST", origin="x" * 100_000)))
        assert "x" * 200 in said
        assert "x" * 201 not in said


def test_a_websocket_handshake_counts_as_unsafe():
    """Any page may open a socket with our cookies, so its Origin is looked at."""
    for origin, expected in ((OWN, False), ("https://evil.example", True), ("null", True)):
        assert BROWSER.is_cross_site(Incoming(method="WEBSOCKET", origin=origin)) is expected


def test_safe_methods_are_the_standards():
    """RFC 9110 section 9.2.1: GET, HEAD, OPTIONS and TRACE."""
    assert {"GET", "HEAD", "OPTIONS", "TRACE"} == SAFE_METHODS


class TestCors:
    @pytest.mark.parametrize(
        "origin", ["", "null", "https://evil.example", "*", f"{OWN}.evil.example", f"{OWN}, {OWN}"]
    )
    @pytest.mark.parametrize("preflight", [False, True])
    def test_others_get_nothing(self, origin, preflight):
        """No origin but ours and trusted ones is let in; caches are told the answer varies."""
        browser = Browser(some_settings(trusted_origins=(TRUSTED,)))
        outgoing = browser.cors(Incoming(origin=origin), preflight=preflight)
        assert outgoing.headers == (("Vary", "Origin"),)

    @pytest.mark.parametrize("origin", [OWN, TRUSTED])
    def test_a_trusted_page_may_read_answers(self, origin):
        """The exact origin with credentials, never `*` (Fetch, "CORS protocol")."""
        browser = Browser(some_settings(trusted_origins=(TRUSTED,)))
        assert browser.cors(Incoming(origin=origin)).headers == (
            ("Access-Control-Allow-Origin", origin),
            ("Access-Control-Allow-Credentials", "true"),
            ("Vary", "Origin"),
        )

    def test_a_preflight_is_told_what_may_be_sent(self):
        """Methods and headers are listed: `*` does not count with credentials."""
        browser = Browser(some_settings(trusted_origins=(TRUSTED,)))
        headers = dict(browser.cors(Incoming(origin=TRUSTED), preflight=True).headers)
        assert headers == {
            "Access-Control-Allow-Origin": TRUSTED,
            "Access-Control-Allow-Credentials": "true",
            "Vary": "Origin",
            "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, PATCH, DELETE",
            "Access-Control-Allow-Headers": "Authorization, Content-Type",
            "Access-Control-Max-Age": "600",
        }


# --- client addresses -----------------------------------------------------------------------------


class TestClientAddress:
    @pytest.mark.parametrize(
        ("peer", "forwarded_for", "expected"),
        [
            # without a proxy in between, the header is somebody's claim
            ("203.0.113.9", "", "203.0.113.9"),
            ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
            ("203.0.113.9", "10.0.0.1", "203.0.113.9"),
            # one trusted proxy: what it added is the rightmost
            ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
            ("10.0.0.1", "198.51.100.1, 203.0.113.9", "203.0.113.9"),
            ("10.0.0.1", "127.0.0.1,10.0.0.7, 203.0.113.9", "203.0.113.9"),
            ("10.0.0.1", "  203.0.113.9\t", "203.0.113.9"),
            # several trusted proxies
            ("10.0.0.1", "203.0.113.9, 10.0.0.3, 10.0.0.2", "203.0.113.9"),
            ("10.0.0.1", "198.51.100.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
            # nobody but proxies: the one farthest away
            ("10.0.0.1", "", "10.0.0.1"),
            ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
            # IPv6, and IPv4 within it
            ("2001:db8::1", "2001:DB8:ffff::0009", "2001:db8:ffff::9"),
            ("::ffff:10.0.0.1", "203.0.113.9", "203.0.113.9"),
            ("10.0.0.1", "::ffff:203.0.113.9", "203.0.113.9"),
            ("10.0.0.1", "203.0.113.9, ::ffff:10.0.0.2", "203.0.113.9"),
            ("10.0.0.1", "198.51.100.1, 2001:db8:ffff::9, 2001:db8::2", "2001:db8:ffff::9"),
            # garbage ends the walk: nothing left of it is believed
            ("10.0.0.1", "unknown", "10.0.0.1"),
            ("10.0.0.1", "198.51.100.1, unknown, 10.0.0.2", "10.0.0.2"),
            ("10.0.0.1", "198.51.100.1, , 10.0.0.2", "10.0.0.2"),
            ("10.0.0.1", "198.51.100.1,", "10.0.0.1"),
            ("10.0.0.1", "203.0.113.9:4711", "10.0.0.1"),
            ("10.0.0.1", "[2001:db8:ffff::9]:443", "10.0.0.1"),
            ("10.0.0.1", "0x7f.1", "10.0.0.1"),
            ("10.0.0.1", "010.0.0.9", "10.0.0.1"),
            ("10.0.0.1", "203.0.113.9; DROP TABLE", "10.0.0.1"),
            ("10.0.0.1", "<script>", "10.0.0.1"),
            # a peer that is no address (a Unix socket, a test client) is shown as it is
            ("", "203.0.113.9", ""),
            ("testclient", "203.0.113.9", "testclient"),
        ],
    )
    def test_the_rightmost_that_is_no_trusted_proxy(self, peer, forwarded_for, expected):
        """What stands left of it was written by whoever sent the request."""
        browser = Browser(some_settings(trusted_proxies=("10.0.0.0/24", "2001:db8::/64")))
        incoming = Incoming(peer=peer, forwarded_for=forwarded_for)
        assert browser.client_address(incoming) == expected

    @pytest.mark.parametrize("forwarded_for", ["", "198.51.100.1", "garbage"])
    def test_without_trusted_proxies_the_header_is_not_read(self, forwarded_for):
        """The default believes nobody."""
        incoming = Incoming(peer="203.0.113.9", forwarded_for=forwarded_for)
        assert BROWSER.client_address(incoming) == "203.0.113.9"

    @given(st.text() | st.text(alphabet="0123456789abcdef.:, %[]"))
    def test_an_attacker_cannot_choose_the_address(self, written):
        """Whatever a client writes, the address its proxy saw is the answer."""
        browser = Browser(some_settings(trusted_proxies=("10.0.0.0/24",)))
        incoming = Incoming(peer="10.0.0.1", forwarded_for=f"{written}, 203.0.113.9")
        assert browser.client_address(incoming) == "203.0.113.9"

    def test_a_long_header_costs_little(self):
        """A megabyte of proxies' addresses is walked once, without an error."""
        browser = Browser(some_settings(trusted_proxies=("10.0.0.0/24",)))
        incoming = Incoming(peer="10.0.0.1", forwarded_for="10.0.0.3" + ",10.0.0.2" * 100_000)
        started = time.perf_counter()
        assert browser.client_address(incoming) == "10.0.0.3"
        assert time.perf_counter() - started < 2


def test_the_modes_share_no_cookie_name_by_accident():
    """Every pair of names of any two roles differs, whatever the stem."""
    for stem in ("", "a", "a-access", "a-guest"):
        names = CookieNames.of(some_settings(cookie_name=stem))
        for one, other in itertools.combinations(
            (names.handle, names.access, names.refresh, names.guest), 2
        ):
            assert one != other


def test_what_could_be_proofs_among_duplicates():
    """A logout is told of handles and tokens of every name that signs in, single ones too, bounded."""
    browser = Browser(some_settings())
    names = browser.names
    handle = mint(SECRET, purpose=Purpose.SESSION, sid=SID, generation=1, seed=SEED)
    header = (
        f"{names.guest}={handle}; {names.handle}=rubbish; {names.handle}={handle}; "
        f"{names.access}=a.b.c; {names.guest}=x"
    )
    found = browser.credentials(Incoming(cookies=header))
    assert found.is_ambiguous
    assert (handle, "a.b.c") == found.copies
    many = "; ".join(f"{names.access}=a.b.{n}" for n in range(1000))
    assert tuple(f"a.b.{n}" for n in range(8)) == browser.credentials(Incoming(cookies=many)).copies
