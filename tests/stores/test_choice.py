"""Choosing a store by URL, and refusing the wrong kind with the remedy."""

import pytest

from sojourn import AsyncSojourn, ConfigurationError, Sojourn
from sojourn.stores import async_store, blocking_store, scheme_of
from sojourn.stores.memory import MemoryStore, system_clock
from sojourn.stores.sqlite import AsyncSqliteStore, SqliteStore

URL = "http://127.0.0.1:8000"


@pytest.mark.parametrize("choose", [async_store, blocking_store])
@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("mysql://root:hunter22@db/app", "known are: memory://; sqlite:///"),
        ("sqlite:app.db?durable=maybe", "durable=yes or"),
        ("sqlite:///app.db?mode=rwc", "durable=yes or"),
        ("sqlite:///", "needs a path"),
        ("sqlite://host/app.db", "known are"),
        ("app.db", "known are"),
    ],
)
def test_a_url_of_no_store(choose, url, remedy):
    """What is known is named; what may be a password is not repeated."""
    with pytest.raises(ConfigurationError) as refused:
        choose(url, clock=system_clock)
    assert remedy in str(refused.value)
    assert "hunter22" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "path", "is_durable"),
    [
        ("sqlite:///app.db", "app.db", True),
        ("sqlite:////srv/app.db?durable=yes", "/srv/app.db", True),
        ("sqlite:///a%20b.db?durable=no", "a b.db", False),
    ],
)
def test_sqlite_urls(url, path, is_durable):
    """Three slashes are relative, four absolute; durability is a word in the query."""
    for store in (async_store(url, clock=system_clock), blocking_store(url, clock=system_clock)):
        assert isinstance(store, AsyncSqliteStore | SqliteStore)
        assert (path, is_durable) == (str(store.database.path), store.database._durable)


def test_the_wrong_kind_is_refused_at_construction(tmp_path):
    """A store that would block the loop, or suspend under the blocking face, names the other face."""
    with pytest.raises(ConfigurationError, match="use Sojourn"):
        AsyncSojourn(SqliteStore(tmp_path / "a.db"), url=URL)
    with pytest.raises(ConfigurationError, match="use AsyncSojourn"):
        Sojourn(AsyncSqliteStore(tmp_path / "a.db"), url=URL)


def test_the_memory_store_serves_both_faces():
    """It never blocks, so that one object may stand behind both."""
    store = MemoryStore()
    for face in (AsyncSojourn, Sojourn):
        assert face(store, url=URL).settings.url == URL


@pytest.mark.parametrize("scheme", ["postgresql", "redis", "redis+cluster"])
@pytest.mark.parametrize(
    "password", ["hun/ter2", "hun@ter2", "hun#ter2", "hun?ter2", "hun[ter2", "a]b"]
)
def test_a_password_that_is_not_encoded(scheme, password):
    """It is refused before anybody connects, with how to write it, and is not repeated."""
    with pytest.raises(ConfigurationError, match="%40") as refused:
        async_store(f"{scheme}://app:{password}@127.0.0.1:1/0", clock=system_clock)
    assert "ter2" not in str(refused.value)


def test_a_bracket_of_no_address():
    """A host in brackets is an IPv6 address or a mistake."""
    assert "postgresql" == scheme_of("postgresql://app@[::1]:5432,[fe80::2]/db")
    with pytest.raises(ConfigurationError, match="IPv6"):
        scheme_of("postgresql://app@[::1/db")
