"""./run --check: go through every mode and transport as an HTTP client, and say what held.

Starts the server on a free port with an empty folder, and a second process on the same file
(`check_app.py`). Ends only the processes it started. Exit 0 only if every step held.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2

MODES = ("session", "jwt", "hybrid")
TRANSPORTS = ("cookie", "bearer")
PASSWORD = "four unrelated calm words"  # noqa: S105 - of accounts that live as long as this check
NEW_PASSWORD = "four other unrelated words"  # noqa: S105
STEADY_REQUESTS = 200
HERE = Path(__file__).parent


class Failed(Exception):
    """A step did not hold."""


def expect(held: object, what: str, response: httpx2.Response | None = None) -> None:
    """Fail a step where something does not hold, with the answer that shows it."""
    if not held:
        shown = f": {response.status_code} {response.text[:200]}" if response is not None else ""
        raise Failed(what + shown)


class Client:
    """An HTTP client that holds what a login handed out, in cookies or as bearer tokens."""

    def __init__(self, url: str, transport: str) -> None:
        self.http = httpx2.Client(base_url=url, timeout=20)
        self.transport = transport
        self.refresh_token = ""

    def call(self, method: str, path: str, **options: Any) -> httpx2.Response:
        return self.http.request(method, path, **options)

    def take(self, response: httpx2.Response) -> dict[str, Any]:
        """Keep what a login, refresh or confirmation handed out."""
        body: dict[str, Any] = response.json()
        if self.transport == "bearer":
            self.http.headers["Authorization"] = f"Bearer {body['access_token']}"
            self.refresh_token = body.get("refresh_token", "")
        return body

    def forget_access(self) -> None:
        """Drop the access cookie, as a browser does when it is over: what is fresh is not rotated."""
        for cookie in list(self.http.cookies.jar):
            if cookie.name.endswith("-access"):
                self.http.cookies.jar.clear(cookie.domain, cookie.path, cookie.name)

    def refresh(self) -> httpx2.Response:
        if self.transport == "bearer" and self.refresh_token:
            return self.call("POST", "/auth/refresh", json={"refresh_token": self.refresh_token})
        return self.call("POST", "/auth/refresh")

    def copy(self) -> Client:
        """Another tab, or a thief: the same secrets in another client."""
        other = Client(str(self.http.base_url), self.transport)
        other.http.cookies.update(self.http.cookies)
        other.http.headers.update(self.http.headers)
        other.refresh_token = self.refresh_token
        return other

    def carried_bytes(self) -> int:
        if self.transport == "cookie":
            return sum(len(c.name) + 1 + len(c.value or "") for c in self.http.cookies.jar)
        return len(self.http.headers["Authorization"]) + len(self.refresh_token)


class Walk:
    """One account going through everything in one mode over one transport."""

    def __init__(self, check: Check, mode: str, transport: str) -> None:
        self.check, self.mode, self.transport = check, mode, transport
        self.email = f"{mode}-{transport}-{secrets.token_hex(4)}@example.com"
        self.subject = ""
        self.figures: dict[str, str] = {}

    def steps(self) -> list[tuple[str, Callable[[], str | None]]]:
        return [
            ("register", self.register),
            ("sign in", self.sign_in),
            ("check, and its store reads", self.steady),
            ("devices", self.devices),
            ("refresh", self.refresh),
            ("two tabs refresh at once", self.two_tabs),
            ("stolen refresh token", self.stolen),
            ("re-authentication", self.confirm),
            ("role change", self.roles),
            ("session data", self.data),
            ("guest to signed in", self.guest),
            ("password change", self.password),
            ("revocation, here and in process 2", self.revocation),
            ("sign out", self.sign_out),
            ("sign out everywhere, in again", self.everywhere),
            ("key rotation", self.keys),
            ("disabled account", self.disabled),
        ]

    # --- helpers ---------------------------------------------------------------------------------

    def login(self, password: str = PASSWORD) -> Client:
        client = Client(self.check.url, self.transport)
        response = client.call(
            "POST",
            "/auth/login",
            json={
                "email": self.email,
                "password": password,
                "mode": self.mode,
                "transport": self.transport,
            },
        )
        expect(response.status_code == 200, "sign-in was refused", response)
        body = client.take(response)
        expect(body["mode"] == self.mode, "another mode was given", response)
        has_tokens = "access_token" in body
        expect(has_tokens == (self.transport == "bearer"), "tokens in the wrong place", response)
        return client

    def is_in(self, client: Client) -> bool:
        return client.call("GET", "/auth/session").status_code == 200

    def refused(self, client: Client, *codes: str) -> None:
        response = client.call("GET", "/auth/session")
        expect(response.status_code == 401, "was not refused", response)
        expect(response.json()["code"] in codes, f"code is none of {codes}", response)

    def unsupported(self, response: httpx2.Response) -> str:
        code = response.json().get("code")
        expect(code == "unsupported_in_mode", "was answered in a mode that cannot know", response)
        return "unsupported in this mode, and says so"

    # --- steps -----------------------------------------------------------------------------------

    def register(self) -> None:
        client = Client(self.check.url, self.transport)
        body = {"email": self.email, "password": PASSWORD}
        response = client.call("POST", "/auth/register", json=body)
        expect(response.status_code == 201, "was not registered", response)
        self.subject = response.json()["subject"]
        expect(not self.is_in(client), "registering signed in", response)
        again = client.call("POST", "/auth/register", json=body)
        expect(again.json().get("code") == "account_exists", "was registered twice", again)

    def sign_in(self) -> None:
        self.client = self.login()
        response = self.client.call("GET", "/auth/session")
        expect(response.status_code == 200, "was not recognised", response)
        expect(response.json()["subject"] == self.subject, "as somebody else", response)
        other = self.client.http.get(self.check.other_url + "/me")
        expect(other.status_code == 200, "was not recognised by process 2", other)
        self.figures["bytes"] = str(self.client.carried_bytes())

    def steady(self) -> None:
        for _ in range(3):
            expect(self.is_in(self.client), "was not recognised")
        before = self.check.store_reads()
        for _ in range(STEADY_REQUESTS):
            expect(self.is_in(self.client), "was not recognised")
        reads = (self.check.store_reads() - before) / STEADY_REQUESTS
        self.figures["reads"] = f"{reads:.2f}"
        expect(reads <= 0.05, f"{reads} store reads a request")

    def devices(self) -> str | None:
        response = self.client.call("GET", "/auth/sessions")
        if self.mode == "jwt":
            return self.unsupported(response)
        second = self.login()
        listed = self.client.call("GET", "/auth/sessions").json()["sessions"]
        expect(len(listed) == 2, f"{len(listed)} sessions are listed instead of 2")
        expect(sum(s["current"] for s in listed) == 1, "not exactly one is this one")
        sid = next(s["sid"] for s in listed if not s["current"])
        ended = self.client.call("DELETE", f"/auth/sessions/{sid}")
        expect(ended.status_code == 204, "was not ended", ended)
        self.refused(second, "revoked")
        foreign = self.check.admin.call("DELETE", f"/auth/sessions/{listed[0]['sid']}")
        expect(foreign.status_code == 404, "another's session could be ended", foreign)
        expect(self.is_in(self.client), "this one was ended too")
        return None

    def refresh(self) -> str | None:
        response = self.client.refresh()
        if self.mode != "hybrid":
            return self.unsupported(response)
        expect(response.status_code == 200, "was not refreshed", response)
        self.client.take(response)
        expect(self.is_in(self.client), "was not recognised after it")
        return None

    def two_tabs(self) -> str | None:
        if self.mode != "hybrid":
            return "nothing rotates in this mode"
        tabs = [self.client.copy() for _ in range(8)]
        with concurrent.futures.ThreadPoolExecutor(len(tabs)) as pool:
            answers = list(pool.map(lambda tab: tab.refresh(), tabs))
        expect(all(a.status_code == 200 for a in answers), "a tab was signed out")
        for tab, reply in zip(tabs, answers, strict=True):
            tab.take(reply)
        if self.transport == "bearer":
            successors = {tab.refresh_token for tab in tabs}
        else:
            successors = {
                c.value for tab in tabs for c in tab.http.cookies.jar if c.name.endswith("-refresh")
            }
        expect(len(successors) == 1, f"{len(successors)} successors instead of one")
        self.client = tabs[0]
        expect(self.is_in(self.client), "was not recognised after it")
        return None

    def stolen(self) -> str | None:
        if self.mode != "hybrid":
            return "nothing rotates in this mode"
        victim = self.login()
        thief = victim.copy()
        for _ in range(2):
            victim.forget_access()
            victim.take(victim.refresh())
        thief.forget_access()
        response = thief.refresh()
        expect(response.json().get("code") == "refresh_reuse", "was not found", response)
        self.refused(victim, "revoked", "refresh_reuse")
        return None

    def confirm(self) -> None:
        before = self.client.copy()
        wrong = self.client.call("POST", "/auth/confirm", json={"password": "not the password"})
        expect(wrong.json().get("code") == "invalid_credentials", "a wrong one did", wrong)
        response = self.client.call("POST", "/auth/confirm", json={"password": PASSWORD})
        expect(response.status_code == 200, "was refused", response)
        self.client.take(response)
        expect(self.is_in(self.client), "was not recognised after it")
        self.refused(before, "invalid_token", "revoked", "refresh_required")

    def roles(self) -> None:
        self.check.as_admin("PATCH", f"/admin/users/{self.subject}", json={"roles": ["editor"]})
        response = self.client.call("GET", "/auth/session")
        if self.mode == "jwt":
            expect(response.status_code == 401, "the old roles still hold", response)
            self.client = self.login()
        elif response.status_code == 401:
            code = response.json()["code"]
            expect(code == "refresh_required", "was not told to refresh", response)
            self.client.take(self.client.refresh())
        response = self.client.call("GET", "/auth/session")
        expect(response.json().get("roles") == ["editor"], "has other roles", response)

    def data(self) -> str | None:
        url = self.check.other_url + "/data"
        response = self.client.http.post(url, json={"theme": "dark"})
        if self.mode == "jwt":
            return self.unsupported(response)
        expect(response.status_code == 200, "was not kept", response)
        read = self.client.http.get(url)
        expect(read.json() == {"theme": "dark"}, "was not read back", read)
        return None

    def guest(self) -> None:
        visitor = Client(self.check.other_url, "cookie")
        visitor.call("GET", "/data")
        expect(not list(visitor.http.cookies.jar), "a visitor who wrote nothing has a cookie")
        visitor.call("POST", "/data", json={"basket": ["pear"], "seen": 1})
        told = {"subject": self.subject, "mode": self.mode}
        response = visitor.call("POST", "/login", json=told)
        expect(response.status_code == 200, "was not signed in", response)
        names = [c.name for c in visitor.http.cookies.jar]
        expect(not any(n.endswith("-guest") for n in names), "is still a guest too")
        if self.mode != "jwt":
            read = visitor.call("GET", "/data")
            expect(read.json() == {"basket": ["pear"]}, "the basket was not carried over", read)
        expect(visitor.call("GET", "/me").json()["subject"] == self.subject, "is not signed in")

    def password(self) -> None:
        other = self.login()
        body = {"current": PASSWORD, "new": NEW_PASSWORD}
        response = self.client.call("POST", "/auth/password", json=body)
        expect(response.status_code in {200, 204}, "was not changed", response)
        if response.status_code == 200:
            self.client.take(response)
        expect(self.is_in(self.client), "this one did not go on")
        self.refused(other, "revoked")
        self.client = self.login(NEW_PASSWORD)

    def revocation(self) -> None:
        """Milliseconds from the acknowledged revocation to the first refusal."""
        rounds = [self._revoked_once() for _ in range(5)]
        here, there = (sorted(r[i] for r in rounds) for i in (0, 1))
        self.figures["here"] = f"{here[2]:.1f}"
        self.figures["there"] = f"{there[2]:.1f}"
        self.figures["there_max"] = f"{there[-1]:.1f}"

    def _revoked_once(self) -> tuple[float, float]:
        client = self.login(NEW_PASSWORD)
        sid = client.call("GET", "/auth/session").json()["sid"]
        urls = (self.check.url + "/auth/session", self.check.other_url + "/me")
        refused_at = [0.0, 0.0]
        started = threading.Barrier(3)

        def poll(index: int) -> None:
            tab = client.copy()
            tab.http.get(urls[index])
            started.wait()
            deadline = time.monotonic() + 5
            while time.monotonic() < deadline:
                if tab.http.get(urls[index]).status_code == 401:
                    refused_at[index] = time.monotonic()
                    return

        threads = [threading.Thread(target=poll, args=(i,)) for i in (0, 1)]
        for thread in threads:
            thread.start()
        started.wait()
        self.check.as_admin("DELETE", f"/admin/sessions/{sid}")
        acknowledged_at = time.monotonic()
        for thread in threads:
            thread.join()
        expect(all(refused_at), "was not refused within 5 s")
        here, there = (max(0.0, (at - acknowledged_at) * 1000) for at in refused_at)
        return here, there

    def sign_out(self) -> None:
        tab = self.client.copy()
        response = self.client.call("POST", "/auth/logout")
        expect(response.status_code == 204, "was refused", response)
        expect(not list(self.client.http.cookies.jar), "cookies are left")
        self.refused(tab, "revoked")
        again = Client(self.check.url, self.transport).call("POST", "/auth/logout")
        expect(again.status_code == 204, "nobody could not sign out", again)

    def everywhere(self) -> None:
        """Within the same second: an order kept by clocks in seconds could not tell them apart."""
        first, second = self.login(NEW_PASSWORD), self.login(NEW_PASSWORD)
        response = first.call("POST", "/auth/logout-all")
        expect(response.status_code == 204, "was refused", response)
        self.client = self.login(NEW_PASSWORD)
        expect(self.is_in(self.client), "the new sign-in was refused")
        self.refused(second, "revoked")

    def keys(self) -> None:
        self.check.as_admin("POST", "/admin/keys/rotate", json={})
        expect(self.is_in(self.client), "was signed out by a planned rotation")
        published = self.client.call("GET", "/.well-known/jwks.json").json()["keys"]
        expect(len(published) >= 2, "the next key is not published")
        self.check.as_admin("POST", "/admin/keys/rotate", json={"is_emergency": True})
        self.check.sign_admin_in()
        if self.mode == "jwt":
            self.refused(self.client, "invalid_token")
            self.client = self.login(NEW_PASSWORD)
        elif self.mode == "hybrid" and self.transport == "bearer":
            self.refused(self.client, "invalid_token")
            self.client.take(self.client.refresh())
        expect(self.is_in(self.client), "was not recognised under the new key")

    def disabled(self) -> None:
        path = f"/admin/users/{self.subject}"
        self.check.as_admin("PATCH", path, json={"is_disabled": True})
        self.refused(self.client, "revoked")
        refused = Client(self.check.url, self.transport).call(
            "POST", "/auth/login", json={"email": self.email, "password": NEW_PASSWORD}
        )
        expect(refused.json().get("code") == "invalid_credentials", "could sign in", refused)
        self.check.as_admin("PATCH", path, json={"is_disabled": False})
        expect(self.is_in(self.login(NEW_PASSWORD)), "could not sign in again")


class Check:
    """The processes, the administrator, and the table."""

    def __init__(self, url: str, other_url: str, email: str, password: str) -> None:
        self.url, self.other_url = url, other_url
        self._account = {"email": email, "password": password}
        self.sign_admin_in()

    def sign_admin_in(self) -> None:
        self.admin = Client(self.url, "bearer")
        body = {**self._account, "mode": "session", "transport": "bearer"}
        response = self.admin.call("POST", "/auth/login", json=body)
        expect(response.status_code == 200, "the ready account cannot sign in", response)
        self.admin.take(response)

    def as_admin(self, method: str, path: str, **options: Any) -> httpx2.Response:
        response = self.admin.call(method, path, **options)
        expect(response.is_success, f"administrator: {method} {path}", response)
        return response

    def store_reads(self) -> float:
        text = self.admin.call("GET", "/metrics").text
        found = re.findall(
            r'^sojourn_store_operations_total\{kind="read".*\} (\S+)', text, re.MULTILINE
        )
        return sum(map(float, found))

    def run(self) -> bool:
        walks = [Walk(self, mode, transport) for mode in MODES for transport in TRANSPORTS]
        has_held = True
        for walk in walks:
            print(f"\n{walk.mode} over {walk.transport}")
            for name, step in walk.steps():
                try:
                    note = step()
                except (Failed, KeyError, ValueError, httpx2.HTTPError) as error:
                    print(f"  FAILED  {name}: {error}")
                    has_held = False
                    break
                print(f"  held    {name}" + (f" ({note})" if note else ""))
        print_table(walks)
        return has_held


def print_table(walks: list[Walk]) -> None:
    """Print what was measured, mode by mode."""
    columns = (
        ("client carries, bytes", "bytes"),
        ("store reads a request", "reads"),
        ("revoked -> refused here, ms", "here"),
        ("in process 2, ms", "there"),
        ("(slowest of 5)", "there_max"),
    )
    print(f"\n{'':18}" + "".join(f"{title:>29}" for title, _ in columns))
    for walk in walks:
        cells = "".join(f"{walk.figures.get(key, '-'):>29}" for _, key in columns)
        print(f"{walk.mode + ', ' + walk.transport:18}" + cells)


# --- processes ------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def process(command: list[str], env: dict[str, str], log: Path, ready: str) -> Iterator[None]:
    """Run a process until the block ends; it must answer at `ready` first."""
    with log.open("wb") as output:
        child = subprocess.Popen(command, env=env, stdout=output, stderr=output, cwd=HERE)
        try:
            deadline = time.monotonic() + 30
            while True:
                with contextlib.suppress(httpx2.HTTPError):
                    httpx2.get(ready)
                    break
                if child.poll() is not None or time.monotonic() > deadline:
                    raise Failed(f"{command[-1]} did not start:\n{log.read_text()}")
                time.sleep(0.05)
            yield
        finally:
            child.send_signal(signal.SIGTERM)
            try:
                code = child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()
                code = child.wait()
        if code != 0:
            raise Failed(f"{command[-1]} ended with {code}:\n{log.read_text()[-2000:]}")


def main() -> int:
    """Run the check."""
    with tempfile.TemporaryDirectory(prefix="sojourn-check-") as folder:
        data = Path(folder) / "data"
        port, other_port = free_port(), free_port()
        url, other_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{other_port}"
        kept = {k: v for k, v in os.environ.items() if not k.startswith("SOJOURN_")}
        env = {**kept, "SOJOURN_PORT": str(port), "SOJOURN_DATA": str(data)}
        other_env = {
            **kept,
            "SOJOURN_URL": url,
            "SOJOURN_DATA": str(data),
            "CHECK_STORE": f"sqlite:///{data / 'sojourn.db'}",
        }
        serve = [sys.executable, "-m", "sojourn.cli", "serve"]
        app = [sys.executable, str(HERE / "check_app.py"), str(other_port)]
        try:
            with (
                process(serve, env, Path(folder) / "server.log", url + "/livez"),
                process(app, other_env, Path(folder) / "app.log", other_url + "/me"),
            ):
                password = (data / "demo-account").read_text().strip()
                has_held = Check(url, other_url, "demo@example.com", password).run()
        except Failed as error:
            print(f"FAILED  {error}")
            has_held = False
    print("\nevery step held" if has_held else "\nNOT every step held")
    return 0 if has_held else 1


if __name__ == "__main__":
    sys.exit(main())
