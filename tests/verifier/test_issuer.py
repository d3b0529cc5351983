"""What an issuer may be: https, public keys, everything named; refused where it is made, not later."""

import pytest

from sojourn import ConfigurationError, Issuer
from sojourn.verifier.urls import checked_url, host_of

KEYS = {"typ": "JWT", "algorithms": {"RS256"}}


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://id.example.com",
        "http://id.example.com",
        "http://169.254.169.254",
        "//id.example.com",
        "id.example.com",
        "https://",
        "https://id.example.com@evil.example",
        "https://id.example.com#x",
        "https://id.example.com\\@evil.example",
        "https://id.exämple.com",
        "https://id.example.com/ x",
        "https://id.example.com\n",
        "https://id.example.com:port",
        "",
        None,
        7,
        b"https://id.example.com",
    ],
)
def test_addresses_that_are_refused(url):
    """Only https, or http on loopback; no credentials, fragments or anything that parsers read twice."""
    with pytest.raises(ConfigurationError):
        Issuer.oidc(url, **KEYS)
    with pytest.raises(ConfigurationError):
        Issuer.sojourn(url)
    for name in ("discovery_url", "jwks_uri"):
        if url:
            with pytest.raises(ConfigurationError, match=name):
                Issuer.oidc("https://id.example.com", **KEYS, **{name: url})


@pytest.mark.parametrize(
    "url", ["https://id.example.com", "https://id.example.com:8443/realm?p=x", "http://127.0.0.1:1"]
)
def test_addresses_that_are_taken(url):
    """Loopback may be plain, for tests and development."""
    assert url == checked_url(url, what="it")
    assert url == Issuer.oidc(url, **KEYS).url


def test_hosts():
    """A host counts with its port, in lower case."""
    assert "id.example.com" == host_of("https://ID.example.com:443/x")
    assert "id.example.com:8443" == host_of("https://id.example.com:8443")
    assert "" == host_of("nothing")


WRONG = {
    "algorithms": [{"HS256"}, set(), {"none"}, {"RS256", "HS256"}, "RS256"],
    "typ": ["", 7],
    "audience": ["", {"a", ""}],
    "also_known_as": [{""}],
}


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, values in WRONG.items() for v in values])
def test_what_would_be_lenient(name, value):
    """No secrets as keys, no empty algorithm set, no empty audience."""
    given = {"typ": "JWT", "algorithms": {"RS256"}} | {name: value}
    if name == "audience" and value == "":
        assert (
            Issuer.oidc("https://id.example.com", **(given | {"audience": ()})).audiences == set()
        )
    with pytest.raises(ConfigurationError):
        Issuer.oidc("https://id.example.com", **given)


def test_pinned_keys_and_places_exclude_each_other():
    """Keys are given, or where they are found."""
    jwks = {"keys": []}
    for place in ({"jwks_uri": "https://a.b/jwks"}, {"discovery_url": "https://a.b/metadata"}):
        with pytest.raises(ConfigurationError, match="not both"):
            Issuer.oidc("https://a.b", **KEYS, jwks=jwks, **place)


def test_the_feed_token_is_the_one_that_was_printed():
    """What could not be sent in a header is refused, and not shown."""
    for wrong in ("sjv_ü", "sjv_x\r\nHost: evil.example", "sjv_a b", b"sjv_x", None):
        with pytest.raises(ConfigurationError, match="feed_token") as raised:
            Issuer.sojourn("https://auth.example.com", feed_token=wrong)
        assert "sjv_" not in str(raised.value)


def test_tenants_are_named():
    """There is no "any tenant"."""
    with pytest.raises(ConfigurationError, match="tenants"):
        Issuer.microsoft(tenants=(), audience="billing")


def test_what_follows():
    """Metadata, feed and spellings follow from the url."""
    sojourn = Issuer.sojourn("https://auth.example.com/", algorithms={"EdDSA"})
    assert "https://auth.example.com" == sojourn.url
    assert "https://auth.example.com/auth/revocations" == sojourn.feed_url
    assert {"EdDSA"} == sojourn.algorithms
    auth0 = Issuer.auth0("example.auth0.com", audience="a")
    assert "https://example.auth0.com/.well-known/openid-configuration" == auth0.metadata_url
    assert {"https://example.auth0.com/"} == auth0.spellings.keys()
    elsewhere = Issuer.oidc("https://a.b", **KEYS, discovery_url="https://c.d/metadata")
    assert ("https://c.d/metadata", {"a.b", "c.d"}) == (
        elsewhere.metadata_url,
        elsewhere.key_hosts,
    )


def test_only_sojourn_has_a_feed():
    """A feed token for another issuer is a mistake."""
    with pytest.raises(ConfigurationError, match="only Sojourn"):
        Issuer(url="https://a.b", algorithms=frozenset({"RS256"}), typ="JWT", feed_token="sjv_x")
