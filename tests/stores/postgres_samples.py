"""What the tests of the PostgreSQL store share; as a program, another process on the store.

``python postgres_samples.py VERB URL …``
"""

import sys
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, Popen
from urllib.parse import urlsplit

import psycopg
import pytest

from sojourn.errors import StoreError
from sojourn.model import Event, Kind
from sojourn.stores.postgres import PostgresStore

LONGEST_TOKEN_MS = 3_600_000


@contextmanager
def opened(url, **options):
    """Open a blocking store while the block lasts."""
    store = PostgresStore(url, **options)
    store.open(longest_token_ms=LONGEST_TOKEN_MS)
    try:
        yield store
    finally:
        store.close()


def through(url, proxy):
    """Give the URL of a database behind a proxy."""
    parts = urlsplit(url)
    user = parts.netloc.rpartition("@")[0]
    return parts._replace(netloc=f"{user}@127.0.0.1:{proxy.port}").geturl()


def port_of(url):
    return urlsplit(url).port


@contextmanager
def asking(url):
    """Connect beside the store, autocommit."""
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def terminate_others(url):
    """End every other session of the store's application."""
    with asking(url) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE application_name = 'sojourn' AND datname = current_database() "
            "AND pid <> pg_backend_pid()"
        )


def refuses(work, match):
    """Fail unless work raises a StoreError; gives it."""
    with pytest.raises(StoreError, match=match) as caught:
        work()
    return caught.value


def start_process(verb, url, *args):
    """Start another process on the store."""
    return Popen(
        [sys.executable, Path(__file__), verb, url, *map(str, args)], text=True, stdout=PIPE
    )


def append_many(store, name, count):
    for number in range(int(count)):
        store.append(0, (Event(kind=Kind.OUTDATED, subject=f"{name}-{number}"),))


if __name__ == "__main__":
    verb, url, *rest = sys.argv[1:]
    own = PostgresStore(url)
    print(own.open(longest_token_ms=LONGEST_TOKEN_MS).placement_key.hex(), flush=True)
    if verb == "append":
        append_many(own, *rest)
    own.close()
