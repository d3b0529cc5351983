import dataclasses
import warnings
from ipaddress import ip_network
from typing import get_args

import pytest
from hypothesis import given, strategies as st
from pure.samples import some_settings

from sojourn.errors import ConfigurationError, SecurityWarning, UnsupportedInMode
from sojourn.jose import Algorithm
from sojourn.modes import DAY, HOUR, MODES
from sojourn.settings import (
    PRESETS,
    SETTING_NAMES,
    Options,
    Settings,
    is_loopback,
    normal_origin,
)

RANGES = {
    "absolute_ttl_seconds": (1, 400 * DAY),
    "idle_ttl_seconds": (1, 400 * DAY),
    "access_ttl_seconds": (30, HOUR),
    "browser_ttl_seconds": (1, 400 * DAY),
    "grace_seconds": (0, 60),
    "max_sessions": (1, 100_000),
    "max_lag_seconds": (0, 60),
    "key_ttl_seconds": (60, 400 * DAY),
    "jwks_ttl_seconds": (1, DAY),
    "leeway_seconds": (0, 60),
    "guest_ttl_seconds": (60, 30 * DAY),
    "max_guests": (1, 10_000_000),
}
OPTIONAL = ("absolute_ttl_seconds", "idle_ttl_seconds", "access_ttl_seconds", "max_sessions")
TUPLES = ("modes", "audiences", "trusted_origins", "trusted_proxies")


def with_value(name, value):
    """Settings with one value set, and the key set's life short enough for any key life."""
    return some_settings(**({"jwks_ttl_seconds": 30} | {name: value}))


class TestRanges:
    @pytest.mark.parametrize("name", RANGES)
    def test_both_ends_are_allowed(self, name):
        """The lowest and the highest value of each range is taken as it is."""
        for value in RANGES[name]:
            assert getattr(with_value(name, value), name) == value

    @pytest.mark.parametrize("name", RANGES)
    def test_beyond_either_end_is_refused(self, name):
        """One below and one above is refused with the name, the value and the range."""
        low, high = RANGES[name]
        for value in (low - 1, high + 1, -(10**20), 10**20):
            with pytest.raises(ConfigurationError) as caught:
                with_value(name, value)
            assert str(caught.value) == f"{name} is {value}; it ranges from {low} to {high}"

    @pytest.mark.parametrize("name", RANGES)
    @pytest.mark.parametrize("value", [True, "60", [60], 60j, float("nan"), float("inf")])
    def test_what_is_no_number_is_refused(self, name, value):
        """A bool, a text, NaN and infinity are no durations or counts."""
        with pytest.raises(ConfigurationError, match=name):
            with_value(name, value)

    @pytest.mark.parametrize("name", sorted(RANGES.keys() - {"max_lag_seconds"}))
    def test_whole_numbers_stay_whole(self, name):
        """A fraction would end in Max-Age, exp or a count, where only integers are valid."""
        with pytest.raises(ConfigurationError, match=f"{name} is a whole number"):
            with_value(name, 60.5)

    def test_the_lag_may_be_a_fraction(self):
        """Half a second of lag is a sensible demand."""
        assert with_value("max_lag_seconds", 0.5).max_lag_seconds == 0.5

    @pytest.mark.parametrize("name", sorted(RANGES.keys() - set(OPTIONAL)))
    def test_none_stands_for_a_default_only_where_it_may(self, name):
        """Only optional settings may be None."""
        with pytest.raises(ConfigurationError, match=name):
            with_value(name, None)

    @pytest.mark.parametrize("name", OPTIONAL)
    def test_none_is_the_mode_default(self, name):
        """None leaves the choice to mode and preset."""
        assert getattr(with_value(name, None), name) is None

    def test_no_range_was_forgotten(self):
        """Each numeric setting has a range that this test knows."""
        numeric = {
            field.name
            for field in dataclasses.fields(Settings)
            if field.init and ("int" in str(field.type) or "float" in str(field.type))
        }
        assert numeric == set(RANGES)

    def test_a_key_set_kept_too_long_for_its_keys(self):
        """A key could not be published before it signs, so the two are refused together."""
        assert some_settings(key_ttl_seconds=120, jwks_ttl_seconds=60).key_ttl_seconds == 120
        with pytest.raises(ConfigurationError, match="less than twice jwks_ttl_seconds"):
            some_settings(key_ttl_seconds=119, jwks_ttl_seconds=60)


class TestChoices:
    @pytest.mark.parametrize(
        ("name", "values"),
        [
            ("mode", ("session", "jwt", "hybrid")),
            ("transport", ("cookie", "bearer")),
            ("on_excess", ("refuse", "end_oldest")),
            ("when_stale", ("ask", "refuse")),
            ("same_site", ("lax", "strict")),
            ("signing_algorithm", get_args(Algorithm)),
            ("preset", ("aal1", "aal2", "aal3", None)),
        ],
    )
    def test_each_choice_is_taken(self, name, values):
        """Every documented word is accepted, without a warning."""
        assert [getattr(some_settings(**{name: v}), name) for v in values] == list(values)

    @pytest.mark.parametrize(
        "name", ["mode", "transport", "on_excess", "when_stale", "same_site", "signing_algorithm"]
    )
    @pytest.mark.parametrize("value", ["", "Session", "none ", None, 1, "NONE"])
    def test_another_word_is_refused(self, name, value):
        """Exact words only, and the message lists them."""
        with pytest.raises(ConfigurationError, match=f"^{name} is .*; choose one of "):
            some_settings(**{name: value})

    def test_no_algorithm_is_none(self):
        """`none` is not a signing algorithm, in no spelling (RFC 8725 section 3.2)."""
        for value in ("none", "None", "nOnE"):
            with pytest.raises(ConfigurationError):
                some_settings(signing_algorithm=value)

    @pytest.mark.parametrize("value", ["aal4", "", "AAL1", 1])
    def test_an_unknown_preset(self, value):
        """A mistyped preset would silently be weaker, so it is refused."""
        with pytest.raises(ConfigurationError, match="preset is"):
            some_settings(preset=value)

    def test_an_unknown_mode_among_the_allowed(self):
        """Each of `modes` is a mode."""
        with pytest.raises(ConfigurationError, match="modes is"):
            some_settings(modes=("session", "cookie"))

    @pytest.mark.parametrize("name", TUPLES)
    def test_a_bare_text_is_not_taken_for_its_letters(self, name):
        """audiences="billing" would allow seven audiences of one letter."""
        with pytest.raises(ConfigurationError) as caught:
            some_settings(**{name: "jwt"})
        assert str(caught.value) == f"{name} is a tuple; write {name}=('jwt',)"


class TestModes:
    @pytest.mark.parametrize(
        ("asked", "named"),
        [
            ({"idle_ttl_seconds": 60}, "idle_ttl_seconds"),
            ({"max_sessions": 3}, "max_sessions"),
            ({"idle_ttl_seconds": 60, "max_sessions": 3}, "idle_ttl_seconds and max_sessions"),
        ],
    )
    def test_jwt_cannot_keep_what_it_does_not_store(self, asked, named):
        """A setting that would silently do nothing is refused at start, with what to do."""
        with pytest.raises(UnsupportedInMode) as caught:
            some_settings(mode="jwt", **asked)
        assert str(caught.value) == (
            f"{named} cannot be kept in mode 'jwt', which stores nothing; "
            "remove the setting, or use mode 'session' or 'hybrid'"
        )

    @pytest.mark.parametrize("preset", ["aal2", "aal3"])
    @pytest.mark.parametrize("modes", [{"mode": "jwt"}, {"mode": "session", "modes": ("jwt",)}])
    def test_jwt_cannot_end_idle_sessions(self, preset, modes):
        """AAL2 and AAL3 end idle sessions, so no mode that cannot see idleness is allowed at all."""
        with pytest.raises(UnsupportedInMode, match="cannot see idleness"):
            some_settings(preset=preset, **modes)

    def test_jwt_beside_a_storing_mode_leaves_its_limits(self):
        """Where `jwt` is only allowed, not configured, limits hold for those that store."""
        settings = some_settings(
            mode="session", modes=("jwt",), max_sessions=3, idle_ttl_seconds=60
        )
        assert (settings.max_sessions, settings.idle_seconds("session")) == (3, 60)
        assert settings.idle_seconds("jwt") is None

    def test_the_configured_mode_comes_first_and_once(self):
        """Allowed modes hold the configured one, without repetition."""
        settings = some_settings(mode="session", modes=("hybrid", "session", "jwt", "hybrid"))
        assert settings.allowed_modes == ("session", "hybrid", "jwt")
        assert some_settings().allowed_modes == ("hybrid",)


class TestLives:
    @pytest.mark.parametrize(
        ("mode", "preset", "absolute", "unremembered", "idle", "access"),
        [
            ("session", None, 30 * DAY, DAY, 14 * DAY, 900),
            ("hybrid", None, 30 * DAY, DAY, 14 * DAY, 900),
            ("jwt", None, 12 * HOUR, 12 * HOUR, None, 900),
            ("session", "aal1", 30 * DAY, DAY, 14 * DAY, 900),
            ("hybrid", "aal1", 30 * DAY, DAY, 14 * DAY, 900),
            ("jwt", "aal1", 12 * HOUR, 12 * HOUR, None, 900),
            ("session", "aal2", DAY, DAY, HOUR, 300),
            ("hybrid", "aal2", DAY, DAY, HOUR, 300),
            ("session", "aal3", 12 * HOUR, 12 * HOUR, 900, 60),
            ("hybrid", "aal3", 12 * HOUR, 12 * HOUR, 900, 60),
        ],
    )
    def test_defaults_and_presets(self, *, mode, preset, absolute, unremembered, idle, access):
        """The table of lives: modes of the design, presets of NIST SP 800-63B-4."""
        settings = some_settings(mode=mode, preset=preset)
        assert (
            settings.absolute_seconds(mode, remember=True),
            settings.absolute_seconds(mode, remember=False),
            settings.idle_seconds(mode),
            settings.access_seconds,
        ) == (absolute, unremembered, idle, access)

    def test_given_lives_count(self):
        """What is given replaces the mode's default, for all modes."""
        settings = some_settings(
            absolute_ttl_seconds=1000,
            idle_ttl_seconds=100,
            access_ttl_seconds=40,
            browser_ttl_seconds=500,
        )
        for mode in MODES:
            assert settings.absolute_seconds(mode, remember=True) == 1000
            assert settings.absolute_seconds(mode, remember=False) == 500
        assert (settings.idle_seconds("hybrid"), settings.access_seconds) == (100, 40)

    @given(
        mode=st.sampled_from(["session", "hybrid"]),
        preset=st.sampled_from(["aal1", "aal2", "aal3"]),
        absolute=st.none() | st.integers(1, 400 * DAY),
        idle=st.none() | st.integers(1, 400 * DAY),
        access=st.none() | st.integers(30, HOUR),
        remember=st.booleans(),
    )
    def test_a_preset_is_a_ceiling(self, *, mode, preset, absolute, idle, access, remember):
        """No setting makes a life longer than the preset allows; a shorter one stays."""
        settings = some_settings(
            mode=mode,
            preset=preset,
            absolute_ttl_seconds=absolute,
            idle_ttl_seconds=idle,
            access_ttl_seconds=access,
        )
        limit = PRESETS[preset]
        life = settings.absolute_seconds(mode, remember=remember)
        assert life <= min(limit.absolute_ttl_seconds, absolute or limit.absolute_ttl_seconds)
        assert settings.access_seconds <= min(limit.access_ttl_seconds, access or HOUR)
        if limit.idle_ttl_seconds is not None:
            assert settings.idle_seconds(mode) == min(
                limit.idle_ttl_seconds, idle or limit.idle_ttl_seconds
            )

    @given(
        st.sampled_from(["session", "jwt", "hybrid"]),
        st.lists(st.sampled_from(["session", "jwt", "hybrid"]), max_size=2).map(tuple),
        st.none() | st.integers(1, 400 * DAY),
        st.none() | st.integers(30, HOUR),
        st.integers(0, 60),
    )
    def test_no_token_outlives_the_longest(self, mode, modes, absolute, access, leeway):
        """Entries and keys are kept for `longest_token_seconds`: no token is accepted longer."""
        settings = some_settings(
            mode=mode,
            modes=modes,
            absolute_ttl_seconds=absolute,
            access_ttl_seconds=access,
            leeway_seconds=leeway,
        )
        for allowed in settings.allowed_modes:
            life = settings.absolute_seconds(allowed, remember=True)
            if allowed != "jwt":
                life = min(life, settings.access_seconds)
            assert life + leeway <= settings.longest_token_seconds

    def test_the_longest_token_is_no_longer_than_need_be(self):
        """Memory follows it: 15 minutes without `jwt`, 12 hours with, and the leeway."""
        assert some_settings().longest_token_seconds == 901
        assert some_settings(modes=("jwt",)).longest_token_seconds == 12 * HOUR + 1


class TestUrl:
    @pytest.mark.parametrize(
        ("url", "origin", "issuer"),
        [
            ("https://app.example.com", "https://app.example.com", "https://app.example.com"),
            ("https://app.example.com/", "https://app.example.com", "https://app.example.com"),
            ("https://App.Example.com", "https://app.example.com", "https://App.Example.com"),
            ("https://h.example:443", "https://h.example", "https://h.example:443"),
            ("https://h.example:8443", "https://h.example:8443", "https://h.example:8443"),
            ("https://h.example/auth", "https://h.example", "https://h.example/auth"),
            ("http://127.0.0.1:8000", "http://127.0.0.1:8000", "http://127.0.0.1:8000"),
            ("http://localhost", "http://localhost", "http://localhost"),
            ("http://localhost:80", "http://localhost", "http://localhost:80"),
            ("http://a.localhost:3000", "http://a.localhost:3000", "http://a.localhost:3000"),
            ("http://[::1]:8000", "http://[::1]:8000", "http://[::1]:8000"),
            ("https://xn--bcher-kva.example", *["https://xn--bcher-kva.example"] * 2),
            ("https://my_host", "https://my_host", "https://my_host"),
        ],
    )
    def test_what_follows_from_it(self, url, origin, issuer):
        """Origin as browsers spell it; issuer as given, without a trailing slash."""
        settings = some_settings(url=url)
        assert (settings.origin, settings.issuer) == (origin, issuer)
        assert settings.is_development == url.startswith("http:")

    @pytest.mark.parametrize(
        "url",
        [
            "http://app.example.com",
            "http://192.168.0.1",
            "http://0.0.0.0:8000",
            "http://10.0.0.1",
            "http://localhost.evil.example",
            "http://127.0.0.1.evil.example",
            "http://evil-localhost",
            "http://[::2]",
            "http://127.1",
        ],
    )
    def test_plain_http_beyond_loopback_is_refused(self, url):
        """Cookies could be read on the way; look-alikes of loopback are no loopback."""
        with pytest.raises(ConfigurationError, match="plain http to another machine"):
            some_settings(url=url)

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "app.example.com",
            "//app.example.com",
            "ftp://app.example.com",
            "javascript:alert(1)",
            "https://",
            "https:///path",
            "https://h.example?x=1",
            "https://h.example?",
            "https://h.example#top",
            "https://h.example#",
            "https://user@h.example",
            "https://user:pw@h.example",
            "https://:pw@h.example",
            "https://@h.example",
            "https://h.example:port",
            "https://h.example:99999",
            "https://[::1",
            "https://h.example\n",
            "https://h.exa\tmple",
            " https://h.example",
            "https://h.example ",
            "https://h exa.mple",
            "https://h.example\\@evil.example",
            "https://bücher.example",
            "https://h.example;Domain=evil",
            "https://h.example/\x7f",
        ],
    )
    def test_what_is_no_url_of_an_application_is_refused(self, url):
        """Whatever would put white space, a password or a query into issuer and cookies."""
        with pytest.raises(ConfigurationError, match=r"^url is "):
            some_settings(url=url)

    def test_audiences(self):
        """The audience is the url by default; others are added to it, not put in its place."""
        assert some_settings().all_audiences == {"https://app.example.com"}
        settings = some_settings(audience="app", audiences=("billing", "mail"))
        assert settings.all_audiences == {"app", "billing", "mail"}

    @pytest.mark.parametrize(
        ("url", "expected"),
        [
            ("https://H.example:443/path?q#f", "https://h.example"),
            ("HTTPS://h.example", "https://h.example"),
            ("http://h.example:80", "http://h.example"),
            ("http://h.example:443", "http://h.example:443"),
            ("https://[2001:DB8::1]:8443", "https://[2001:db8::1]:8443"),
            ("null", None),
            ("*", None),
            ("", None),
            ("file:///etc/passwd", None),
            ("https://h.example:x", None),
            ("https://[", None),
            ("https://ünï.example", None),
            ("https://a b", None),
            ("https://[fe80::1%25eth0]", None),
        ],
    )
    def test_an_origin_as_browsers_spell_it(self, url, expected):
        """RFC 6454 section 6.2: lower case, no default port, no path; None where there is none."""
        assert normal_origin(url) == expected

    @given(st.text())
    def test_any_text_has_an_origin_or_none(self, text):
        """Nothing is raised, and an origin is its own origin."""
        for url in (text, "https://" + text):
            origin = normal_origin(url)
            assert origin is None or normal_origin(origin) == origin

    @pytest.mark.parametrize(
        ("host", "expected"),
        [
            ("localhost", True),
            ("a.localhost", True),
            ("127.0.0.1", True),
            ("127.255.255.255", True),
            ("::1", True),
            ("", False),
            ("notlocalhost", False),
            ("localhost.", False),
            ("128.0.0.1", False),
            ("::", False),
        ],
    )
    def test_loopback(self, host, expected):
        """RFC 6761 section 6.3 and the loopback networks, nothing that merely looks like them."""
        assert is_loopback(host) is expected


class TestBrowser:
    @pytest.mark.parametrize("name", ["a", "A_b-9", "x" * 64])
    def test_a_cookie_name(self, name):
        """Letters, digits, _ and -, up to 64."""
        assert some_settings(cookie_name=name).cookie_name == name

    @pytest.mark.parametrize(
        "name", ["x" * 65, "a b", "a;b", "a=b", "ä", "a.b", "__Host-a\n", "\x00", "a,b"]
    )
    def test_what_would_break_a_cookie_is_no_name(self, name):
        """Separators, white space and non-ASCII would change what the header says."""
        with pytest.raises(ConfigurationError, match="cookie_name"):
            some_settings(cookie_name=name)

    @pytest.mark.parametrize(
        "domain", ["app.example.com", "example.com", ".example.com", ".app.example.com"]
    )
    def test_a_domain_above_the_host(self, domain):
        """The host itself or a parent of it."""
        assert some_settings(cookie_domain=domain).cookie_domain == domain

    @pytest.mark.parametrize(
        "domain",
        [
            "",
            ".",
            "evil.example",
            "b.app.example.com",
            "xample.com",
            "..example.com",
            "com",
            "example.com; Path=/x",
            "app.example.com.",
        ],
    )
    def test_a_domain_a_browser_would_drop(self, domain):
        """No parent on a label's border: the cookie would be dropped without a word."""
        with pytest.raises(ConfigurationError, match=r"is not a parent of 'app\.example\.com'"):
            some_settings(cookie_domain=domain)

    @pytest.mark.parametrize(
        "origin",
        ["https://spa.example.com", "http://localhost:3000", "https://[::1]:8443"],
    )
    def test_a_trusted_origin(self, origin):
        """Exact origins, http for development servers included; the own one is always there."""
        settings = some_settings(trusted_origins=(origin,))
        assert settings.origins == {"https://app.example.com", origin}

    def test_a_trusted_origin_in_plain_text(self):
        """Plain http to another machine is legal, and said to be weak."""
        with pytest.warns(SecurityWarning, match="is plain http"):
            some_settings(trusted_origins=("http://spa.example.com",))

    @pytest.mark.parametrize(
        "origin",
        [
            "*",
            "null",
            "",
            "https://*.example.com",
            "spa.example.com",
            "https://spa.example.com/",
            "https://Spa.example.com",
            "https://spa.example.com:443",
            "https://user@spa.example.com",
            "https://spa.example.com?x",
            "https://spa.example.com\n",
            "file://",
        ],
    )
    def test_what_no_browser_would_send_is_no_trusted_origin(self, origin):
        """Wildcards, null and other spellings would never match, or match everybody."""
        with pytest.raises(ConfigurationError, match="trusted origin"):
            some_settings(trusted_origins=(origin,))

    def test_trusted_proxies_are_networks(self):
        """Addresses and networks of both families are parsed once."""
        settings = some_settings(trusted_proxies=("10.0.0.0/8", "::1", "192.0.2.1"))
        assert settings.proxy_networks == (
            ip_network("10.0.0.0/8"),
            ip_network("::1/128"),
            ip_network("192.0.2.1/32"),
        )
        assert some_settings().proxy_networks == ()

    @pytest.mark.parametrize("network", ["10.0.0.1/8", "proxy.local", "", "*", "10.0.0.0/33"])
    def test_what_is_no_network_is_refused(self, network):
        """A mistyped network would trust nobody or everybody."""
        with pytest.raises(ConfigurationError, match="trusted proxy"):
            some_settings(trusted_proxies=(network,))

    @pytest.mark.parametrize(
        ("weak", "message"),
        [
            ({"same_site": "none"}, "same_site='none' sends cookies"),
            ({"when_stale": "trust"}, "when_stale='trust' accepts revoked"),
        ],
    )
    def test_what_is_legal_but_weak_warns_where_it_is_written(self, weak, message):
        """A SecurityWarning that points at the caller's line, not into the library."""
        with pytest.warns(SecurityWarning, match=message) as caught:
            Settings(url="https://app.example.com", **weak)
        assert [warning.filename for warning in caught] == [__file__]

    def test_the_defaults_do_not_warn(self):
        """A production configuration without weak settings is free of warnings."""
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert Settings(url="https://app.example.com").same_site == "lax"

    def test_cross_site_cookies_need_https(self):
        """SameSite=None without Secure is dropped by browsers (RFC 6265bis section 5.7)."""
        with pytest.raises(ConfigurationError, match="needs Secure cookies"):
            some_settings(url="http://localhost:8000", same_site="none")


class TestInterface:
    def test_the_options_are_the_settings(self):
        """`Options` (what faces take as keywords) has each setting with the same type, no other."""
        fields = {f.name: f.type for f in dataclasses.fields(Settings) if f.init}
        options = {
            name: getattr(hint, "__forward_arg__", hint)
            for name, hint in Options.__annotations__.items()
        }
        assert options == fields
        assert frozenset(fields) == SETTING_NAMES
        assert Options.__total__ is False

    def test_every_setting_is_documented(self):
        """Each setting is explained in the class's docstring."""
        lines = (Settings.__doc__ or "").splitlines()
        documented = {
            line.strip().partition(":")[0] for line in lines if line.startswith("        ")
        }
        assert documented >= SETTING_NAMES

    def test_settings_are_frozen_values(self):
        """Equal settings are equal and hashable; none can be changed after validation."""
        assert some_settings() == some_settings()
        assert hash(some_settings()) == hash(some_settings())
        with pytest.raises(dataclasses.FrozenInstanceError):
            some_settings().url = "https://evil.example"

    def test_everything_is_by_keyword(self):
        """No positional argument can land in the wrong setting."""
        with pytest.raises(TypeError):
            Settings("https://app.example.com")
