"""Which server a command concerns: its configuration, and its parts opened for one action."""

from __future__ import annotations

import asyncio
import os
import secrets
import warnings
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from sojourn.errors import ConfigurationError, SecurityWarning, UnsupportedInMode

if TYPE_CHECKING:
    from sojourn.server.app import Server
    from sojourn.server.config import ServerConfig

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What the command line says about the configuration; the rest is in environment and file.

    Args:
        config_file: Instead of the one that SOJOURN_CONFIG names.
        overrides: Settings of the command line; None where not given.
    """

    config_file: Path | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)

    @property
    def given(self) -> dict[str, Any]:
        """The settings that the command line really gives."""
        return {name: value for name, value in self.overrides.items() if value is not None}

    @property
    def names_database(self) -> bool:
        """Whether somebody says where accounts are."""
        from sojourn.server.config import read_config_file

        environ = self.environ()
        in_file = read_config_file(environ.get("SOJOURN_CONFIG", ""))
        return "SOJOURN_DATABASE" in environ or "database" in in_file

    def environ(self) -> dict[str, str]:
        """Give the environment that the configuration is read from."""
        named = {"SOJOURN_CONFIG": str(self.config_file)} if self.config_file else {}
        return {**os.environ, **named}

    def but(self, **overrides: Any) -> Place:
        """Give the same with other settings of the command line."""
        return replace(self, overrides={**self.overrides, **overrides})

    def load(self, environ: Mapping[str, str] | None = None) -> tuple[ServerConfig, list[str]]:
        """Read the configuration.

        Args:
            environ: Another environment than `environ` gives.

        Returns:
            The configuration, and what is legal but weak in it.

        Raises:
            ConfigurationError: It is wrong.
        """
        from sojourn.server.config import load_config

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", SecurityWarning)
            try:
                config = load_config(
                    environ=self.environ() if environ is None else environ, overrides=self.given
                )
            except UnsupportedInMode as error:
                raise ConfigurationError(str(error)) from error
        return config, [str(one.message) for one in caught]

    def look(self) -> tuple[ServerConfig, list[str]]:
        """Read the configuration without making the secret that a first start makes.

        Returns:
            As `load`, with a secret that is nobody's.
        """
        return self.load({**self.environ(), "SOJOURN_SECRET": secrets.token_urlsafe(48)})


def with_server(
    place: Place, act: Callable[[Server], Awaitable[T]], *, may_create: bool = False
) -> T:
    """Open the parts of the server on its store, act, and close them.

    A running server on the same file learns of it through the feed.

    Args:
        place: Which server.
        act: What to do.
        may_create: Whether a store that is not there yet is made.

    Raises:
        ConfigurationError: The configuration is wrong, or there is no store.
        StoreError: The store cannot be reached.
    """
    if not may_create:
        looked = place.look()[0]
        path = database_file(looked)
        if path is not None and not path.exists():
            if looked.store != looked.database and not place.names_database:
                return _with_library(place, act)
            raise ConfigurationError(
                f"there is no database {path}; name the folder of the server's with --data or "
                "SOJOURN_DATA, or make one with: sojourn serve"
            )
    config, _ = place.load()
    config.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    return run_with_server(config, act)


def _with_library(place: Place, act: Callable[[Server], Awaitable[T]]) -> T:
    """Act on the sessions of an application, beside which no server keeps accounts."""
    config, _ = place.load()
    with TemporaryDirectory(prefix="sojourn-") as folder:
        nobody = f"sqlite:///{quote(folder)}/accounts.db"
        return run_with_server(replace(config, database=nobody), act, moves_trail=False)


def run_with_server(
    config: ServerConfig, act: Callable[[Server], Awaitable[T]], *, moves_trail: bool = True
) -> T:
    """Open the parts of the server of a configuration, act, and close them."""
    from sojourn.server.app import Server

    async def run() -> T:
        server = Server(config, moves_trail=moves_trail)
        try:
            await server.open()
            return await act(server)
        finally:
            await server.close()

    return asyncio.run(run())


def check_store(config: ServerConfig) -> None:
    """Make sure that the server can keep what it keeps in this kind of store; opens nothing.

    Raises:
        ConfigurationError: It cannot.
    """
    from sojourn.server.app import Server

    Server(config).hasher.close()


def database_file(config: ServerConfig) -> Path | None:
    """Find the file of the accounts; None where they are not in a file."""
    from sojourn.stores import scheme_of, sqlite_path

    if scheme_of(config.database) != "sqlite":
        return None
    return Path(sqlite_path(config.database))


def operator() -> str:
    """Name who acts, for the audit trail: the user of the operating system."""
    import pwd

    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = str(os.getuid())
    return f"cli:{name}"
