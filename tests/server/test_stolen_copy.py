"""A copy of the database file and everything in the log sign nobody in."""

import shutil
import sqlite3
from base64 import urlsafe_b64encode
from contextlib import closing, suppress
from pathlib import Path

import httpx2
import msgspec
from server.conftest import Person
from servers import running_server

from sojourn import handles
from sojourn.model import Purpose, Session
from sojourn.server_secret import ServerSecret


def texts_of(value: object) -> set[str]:
    """Give every text that can be read out of a stored value, bytes in each usual spelling."""
    found: set[str] = set()
    match value:
        case str():
            found.add(value)
        case bytes():
            found |= {value.hex(), urlsafe_b64encode(value).decode().rstrip("=")}
            found.add(value.decode("latin-1"))
            with suppress(msgspec.MsgspecError, UnicodeDecodeError):
                found |= texts_of(msgspec.msgpack.decode(value))
        case dict():
            for key, inner in value.items():
                found |= texts_of(key) | texts_of(inner)
        case list() | tuple():
            for inner in value:
                found |= texts_of(inner)
    return {text for text in found if text.isprintable() and text.isascii() and text}


def everything_in(database: Path, log: Path) -> set[str]:
    found = set(log.read_text().split())
    with closing(sqlite3.connect(database)) as db:
        tables = [n for (n,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for row in db.execute(f"SELECT * FROM {table}").fetchall():  # noqa: S608 - its own names
                for value in row:
                    found |= texts_of(value)
    return {text.strip() for text in found if 8 <= len(text.strip()) < 8000}


def test_a_copy_of_the_file_and_the_log_signs_nobody_in(tmp_path):
    """Whatever stands in them is refused as a bearer, as a cookie and as a refresh token."""
    with running_server(tmp_path) as server, httpx2.Client(base_url=server.url) as victim:
        person = Person(server.url).register()
        names = set()
        for mode in ("session", "jwt", "hybrid"):
            person.login(victim, mode=mode, remember=True)
            names |= {cookie.name for cookie in victim.cookies.jar}
            assert victim.get("/auth/session").status_code == 200
        for suffix in ("", "-wal"):
            shutil.copy(f"{server.data / 'sojourn.db'}{suffix}", tmp_path / f"copy.db{suffix}")
        loot = everything_in(tmp_path / "copy.db", server.log)
        assert person.subject in loot, "the copy was read"
        assert len(loot) > 50

        # What a thief could derive from the seeds without the server secret.
        guessed = ServerSecret("a-guess-of-the-server-secret-0123456789-abcdef")
        with closing(sqlite3.connect(tmp_path / "copy.db")) as db:
            payloads = [p for (p,) in db.execute("SELECT payload FROM sojourn_sessions")]
        for session in (msgspec.msgpack.decode(p, type=Session) for p in payloads):
            for purpose, chain in session.chains.items():
                loot.add(
                    handles.mint(
                        guessed,
                        purpose=Purpose(purpose),
                        sid=session.sid,
                        generation=chain.generation,
                        seed=session.seed,
                    )
                )

        with httpx2.Client(base_url=server.url) as thief:
            for text in sorted(loot):
                answer = thief.get("/auth/session", headers={"Authorization": f"Bearer {text}"})
                assert answer.status_code in {401, 431}, text
                cookies = "; ".join(f"{name}={text}" for name in sorted(names))
                answer = thief.get("/auth/session", headers={"Cookie": cookies})
                assert answer.status_code in {401, 431}, text
                if text.startswith("sj"):
                    refused = thief.post("/auth/refresh", json={"refresh_token": text})
                    assert refused.status_code == 401, text
        assert victim.get("/auth/session").status_code == 200, "nothing the thief did changed it"
        print(f"{len(loot)} texts tried")
