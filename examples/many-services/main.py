"""Many services, one sign-in: who refuses how long after a revocation, printed.

services:  orders (ASGI)   billing (WSGI, threads)   report (a function, nothing in between)
                \\               |                      /
                 revocations over HTTP, tokens verified by each
                                |
                balancer → two Sojourn servers
                                |
          sessions: Valkey cluster    accounts, audit: PostgreSQL
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import secrets
import signal
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from servers import free_port
from services_postgres import running_postgres
from services_valkey import running_valkey_cluster

HERE = Path(__file__).parent
PATIENCE_SECONDS = 30
SERVICES = ("orders", "billing", "report")
PASSWORD = "seven unrelated words in a row"
EMAIL = "ann@example.com"


@dataclass(frozen=True)
class Answer:
    """What somebody answered."""

    status: int
    body: dict[str, Any]


def call(url: str, *, token: str = "", body: dict[str, Any] | None = None) -> Answer:
    """Make one request: a POST where there is a body."""
    request = urllib.request.Request(url, json.dumps(body).encode() if body else None)  # noqa: S310 - ours
    request.add_header("Content-Type", "application/json")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 - ours
            return Answer(answer.status, json.loads(answer.read() or b"{}"))
    except urllib.error.HTTPError as refused:
        return Answer(refused.code, json.loads(refused.read() or b"{}"))


@contextmanager
def process(name: str, *command: str, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program of this example as long as the block does."""
    log = Path(os.environ["LOGS"]) / f"{name}.log"
    with log.open("wb") as output:
        running = subprocess.Popen(  # noqa: S603 - ours
            [sys.executable, *command], env=os.environ | env, stdout=output, stderr=output
        )
        try:
            yield running
        finally:
            running.send_signal(signal.SIGTERM)
            running.wait(PATIENCE_SECONDS)


def until(condition: Callable[[], bool], what: str, *, pause_seconds: float = 0.02) -> None:
    """Wait for what happens soon."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except OSError:
            pass
        time.sleep(pause_seconds)
    raise SystemExit(f"never happened: {what}; see the logs in {os.environ['LOGS']}")


def answers(url: str) -> Callable[[], bool]:
    """Tell whether anybody is there."""
    return lambda: call(url).status > 0


def feed_token(name: str, environ: dict[str, str]) -> str:
    """Make the token by which a service follows the revocations."""
    command = [sys.executable, "-m", "sojourn.cli", "verifiers", "add", name, "--json"]
    told = subprocess.run(command, env=os.environ | environ, check=True, capture_output=True)  # noqa: S603 - ours
    return str(json.loads(told.stdout)["feed_token"])


def measure(url: str, ask: dict[str, Callable[[str], int]]) -> dict[str, float]:
    """Sign in, see every service accept, revoke, and time until each refuses."""
    login = {"email": EMAIL, "password": PASSWORD, "transport": "bearer"}
    token = call(f"{url}/auth/login", body=login).body["access_token"]
    for name, status in ask.items():
        until(lambda status=status: status(token) == 200, f"{name} accepts")  # type: ignore[misc]
    ended = call(f"{url}/auth/logout-all", token=token, body={"everything": True})
    acknowledged = time.perf_counter()
    assert ended.status == 204, ended

    def until_refused(status: Callable[[str], int]) -> float:
        until(lambda: status(token) == 401, "a service refuses", pause_seconds=0.001)
        return (time.perf_counter() - acknowledged) * 1000

    with ThreadPoolExecutor(len(ask)) as pool:  # each is asked by a client of its own
        return dict(zip(ask, pool.map(until_refused, ask.values()), strict=True))


def main() -> None:
    """Start everything, measure, stop everything."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--times", type=int, default=10, help="how many revocations (10)")
    times = parser.parse_args().times
    with ExitStack() as stack:
        os.environ["LOGS"] = stack.enter_context(TemporaryDirectory(prefix="many-services-"))
        print("starting a Valkey cluster of three nodes, and PostgreSQL")
        cluster = stack.enter_context(running_valkey_cluster())
        postgres = stack.enter_context(running_postgres())
        ports = [free_port() for _ in range(5)]
        balancer, first, second, orders, billing = ports
        url = f"http://127.0.0.1:{balancer}"
        nodes = ",".join(node.removeprefix("redis://").removesuffix("/0") for node in cluster.urls)
        environ = {
            "SOJOURN_URL": url,
            "SOJOURN_SECRET": secrets.token_urlsafe(48),
            "SOJOURN_STORE": f"redis+cluster://{nodes}",
            "SOJOURN_DATABASE": postgres.url,
            "SOJOURN_AUDIENCE": "shop",
            "SOJOURN_DATA": os.environ["LOGS"],
        }
        print(f"starting two Sojourn servers behind {url}")
        for name, port in (("server-1", first), ("server-2", second)):
            serve = ("-m", "sojourn.cli", "serve", "--port", str(port))
            stack.enter_context(process(name, *serve, **environ))
            until(answers(f"http://127.0.0.1:{port}/readyz"), f"{name} answers")
        command = (str(HERE / "balancer.py"), *map(str, ports[:3]))
        stack.enter_context(process("balancer", *command))
        until(answers(f"{url}/readyz"), "the balancer answers")

        print("starting three services that have neither the store nor the secret")
        tokens = {name: feed_token(name, environ) for name in SERVICES}
        for name, port, server in (
            ("orders", orders, ("granian", "--interface", "asgi", "--port", str(orders))),
            ("billing", billing, ("gunicorn", "--threads", "4", "--bind", f"127.0.0.1:{billing}")),
        ):
            own = {"ISSUER": url, "FEED_TOKEN": tokens[name]}
            stack.enter_context(process(name, "-m", *server, f"{name}:app", **own))
            until(answers(f"http://127.0.0.1:{port}/"), f"{name} answers")
        os.environ |= {"ISSUER": url, "FEED_TOKEN": tokens["report"]}
        report = importlib.import_module("report")

        ask = {
            "orders": lambda token: call(f"http://127.0.0.1:{orders}/", token=token).status,
            "billing": lambda token: call(f"http://127.0.0.1:{billing}/", token=token).status,
            "report": lambda token: report.handler(
                {"headers": {"authorization": f"Bearer {token}"}}, None
            )["statusCode"],
        }
        call(f"{url}/auth/register", body={"email": EMAIL, "password": PASSWORD})
        print(f"\n{times} sign-ins, each revoked: milliseconds until each service refuses\n")
        print("    " + "".join(f"{name:>10}" for name in SERVICES))
        rows = []
        for number in range(1, times + 1):
            row = measure(url, ask)
            rows.append(row)
            print(f"{number:>4}" + "".join(f"{row[name]:>10.1f}" for name in SERVICES))
        middle = {name: statistics.median(row[name] for row in rows) for name in SERVICES}
        print(" mid" + "".join(f"{middle[name]:>10.1f}" for name in SERVICES))


if __name__ == "__main__":
    main()
