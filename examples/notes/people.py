"""The people, with their passwords as Argon2id hashes. They are the application's own."""

import asyncio
from dataclasses import dataclass

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from notes.bodies import BadInput
from notes.store import connected

FIRST = (("ann", "seven unrelated words", "admin"), ("bob", "another few words here", ""))
LEAST_CHARACTERS = 12


def good_password(password: str) -> str:
    """Refuse a new password that is easily guessed."""
    if len(password) < LEAST_CHARACTERS:
        raise BadInput(f"a password has {LEAST_CHARACTERS} characters or more")
    return password


@dataclass(frozen=True)
class Person:
    name: str
    roles: frozenset[str]


class People:
    def __init__(self, path: str, hasher: PasswordHasher | None = None) -> None:
        self._path = path
        self._hasher = hasher or PasswordHasher()
        self._hash_of_nobody = self._hasher.hash(
            "an unknown name takes as long as a wrong password"
        )
        with connected(path) as database:
            database.execute(
                "CREATE TABLE IF NOT EXISTS people (name TEXT PRIMARY KEY, "
                "password_hash TEXT NOT NULL, roles TEXT NOT NULL)"
            )
            is_new = database.execute("SELECT 1 FROM people").fetchone() is None
        if is_new:
            for name, password, roles in FIRST:
                self.add(name, password, roles=roles)

    def add(self, name: str, password: str, *, roles: str = "") -> None:
        row = (name, self._hasher.hash(password), roles)
        with connected(self._path) as database:
            database.execute("INSERT OR IGNORE INTO people VALUES (?, ?, ?)", row)

    def prove(self, name: str, password: str) -> Person | None:
        """Give who has this name and this password. Takes a while: Argon2 is slow on purpose."""
        with connected(self._path) as database:
            row = database.execute(
                "SELECT password_hash, roles FROM people WHERE name = ?", (name,)
            ).fetchone()
        try:
            self._hasher.verify(row[0] if row else self._hash_of_nobody, password)
        except VerificationError:
            return None
        return Person(name, frozenset(row[1].split())) if row else None

    def set_password(self, name: str, password: str) -> None:
        password_hash = self._hasher.hash(good_password(password))
        with connected(self._path) as database:
            database.execute(
                "UPDATE people SET password_hash = ? WHERE name = ?", (password_hash, name)
            )

    async def aprove(self, name: str, password: str) -> Person | None:
        """Prove in a thread, so that others are served meanwhile."""
        return await asyncio.to_thread(self.prove, name, password)

    async def aset_password(self, name: str, password: str) -> None:
        await asyncio.to_thread(self.set_password, name, password)

    def names(self) -> list[str]:
        with connected(self._path) as database:
            return [name for (name,) in database.execute("SELECT name FROM people ORDER BY name")]
