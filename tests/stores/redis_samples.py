"""What the tests of the Redis store share: plain clients of the servers, and sessions."""

import os
import secrets
import sys
import traceback
from urllib.parse import urlsplit

import redis

from sojourn.handles import new_sid
from sojourn.model import Chain, Purpose, Session
from sojourn.stores.memory import system_clock

LONGEST_TOKEN_MS = 3_600_000
_clients = {}


def client(url):
    """Give a plain client of one server, kept for the process."""
    if url not in _clients:
        _clients[url] = redis.Redis.from_url(url)
    return _clients[url]


def node_urls(url):
    """Give the URLs of the primaries behind the URL of a service."""
    parts = urlsplit(url)
    if parts.scheme.endswith("+sentinel"):
        sentinel = f"redis://{parts.netloc.split(',')[0]}"
        service = parts.path.strip("/")
        row = client(sentinel).execute_command("SENTINEL GET-MASTER-ADDR-BY-NAME", service)
        host, port = (part.decode() if isinstance(part, bytes) else part for part in row)
        return [f"redis://{host}:{port}/0"]
    if client(url).info("cluster")["cluster_enabled"]:
        slots = client(url).execute_command("CLUSTER SLOTS")
        nodes = {(row[2][0].decode(), row[2][1]) for row in slots}
        return [f"redis://{host}:{port}/0" for host, port in sorted(nodes)]
    return [url]


def every_key(urls, prefix):
    """Give every key of a namespace, with the client of the node that has it."""
    for url in urls:
        for key in list(client(url).scan_iter(match=f"{{{prefix}:*", count=1000)):
            yield client(url), key


def draft(subject="ada", shard=0, **changes):
    now_ms = system_clock()
    fields = {
        "sid": new_sid(shard, secrets.token_bytes(15)),
        "subject": subject,
        "mode": "hybrid",
        "transport": "cookie",
        "seed": secrets.token_bytes(32),
        "position": 0,
        "chains": {Purpose.REFRESH: Chain(1, "5ec2e71d", now_ms)},
        "created_at_ms": now_ms,
        "auth_time_ms": now_ms,
        "seen_at_ms": now_ms,
        "expires_at_ms": now_ms + 86_400_000,
        "idle_ms": None,
    }
    return Session(**(fields | changes))


def node_port(url):
    return urlsplit(url).port


def fork(work):
    """Run work in a forked child; gives its pid."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException:  # noqa: BLE001 - the exit status tells
            traceback.print_exc()
        finally:
            _save_coverage()
            os._exit(status)
    return pid


def _save_coverage():
    if "coverage" in sys.modules:
        coverage = sys.modules["coverage"].Coverage.current()
        if coverage is not None:
            coverage.stop()
            coverage.save()


def ends_well(pid):
    return os.waitpid(pid, 0)[1] == 0
