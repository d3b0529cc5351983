"""Running the server: Granian around the application, a free port, a graceful end."""

from __future__ import annotations

import logging
import os
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from granian import Granian
from granian.constants import Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

from sojourn.errors import ConfigurationError, SojournError
from sojourn.server.config import load_config

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from sojourn.server.config import ServerConfig

GRACE_SECONDS = 10
_COUNTED_IN = "PROMETHEUS_MULTIPROC_DIR"
MAX_HEADER_BUFFER_BYTES = 1_280_000
"""More than is accepted, so that a refusal can say so in a problem document."""


class PortTaken(SojournError):
    """Another program listens on the port; choose another."""

    code = "port_taken"


def create() -> ASGIApp:
    """Make the application from the environment; what each worker process calls."""
    from sojourn.server.app import Server  # noqa: PLC0415 - the parent process never needs it

    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    return Server(load_config()).app()


def find_port(host: str, port: int) -> int:
    """Make sure that a port can be listened on; 0 finds a free one.

    Raises:
        PortTaken: Another program has it; the message offers a free one.
        ConfigurationError: The host is no address of this machine.
    """
    try:
        return _bind(host, port)
    except OSError as error:
        try:
            free = _bind(host, 0)
        except OSError:
            raise ConfigurationError(
                f"host {host!r} cannot be listened on ({error.strerror}); give an address of this "
                "machine, as 127.0.0.1"
            ) from error
        raise PortTaken(
            f"port {port} of {host} cannot be used ({error.strerror}); "
            f"port {free} is free: sojourn serve --port {free}, or SOJOURN_PORT={free}"
        ) from error


def _bind(host: str, port: int) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
        chosen: int = probe.getsockname()[1]
        return chosen


def environment_of(config: ServerConfig) -> dict[str, str]:
    """Say to the worker processes what the command line said to this one."""
    return {
        "SOJOURN_HOST": config.host,
        "SOJOURN_PORT": str(config.port),
        "SOJOURN_DATA": str(config.data),
        "SOJOURN_WORKERS": str(config.workers),
        "SOJOURN_URL": config.settings.url,
        "SOJOURN_MODE": config.settings.mode,
    }


def serve(config: ServerConfig) -> None:
    """Serve until a signal says to stop; requests in flight finish.

    Args:
        config: What to run by; its port must be free.
    """
    os.environ.update(environment_of(config))
    with counting_together(config.workers):
        _serve(config)


@contextmanager
def counting_together(workers: int) -> Iterator[None]:
    """Have several workers count as one: each into files of its own, which whoever is asked adds up.

    To be entered before anything imports the metrics, which look where to count when they are
    imported; a worker is forked from this process.
    """
    if workers == 1 or _COUNTED_IN in os.environ:
        yield
        return
    with TemporaryDirectory(prefix="sojourn-metrics-") as folder:
        os.environ[_COUNTED_IN] = folder
        try:
            yield
        finally:
            del os.environ[_COUNTED_IN]


def _serve(config: ServerConfig) -> None:
    # Each stream of a verifier is a descriptor, and 1,024 is a common soft limit.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # macOS calls its limit infinite, and refuses it
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    Granian(
        "sojourn.server.serve:create",
        factory=True,
        address=config.host,
        port=config.port,
        interface=Interfaces.ASGI,
        workers=config.workers,
        workers_kill_timeout=GRACE_SECONDS,
        log_level=LogLevels.warning,
        http1_settings=HTTP1Settings(max_buffer_size=MAX_HEADER_BUFFER_BYTES),
    ).serve()
