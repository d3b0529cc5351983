"""Serving an application that is run as a program. Any other server does as well."""

from typing import Literal

from notes.config import PORT, URL


def serve(interface: Literal["asgi", "wsgi"], application: str = "app:app") -> None:
    from granian.constants import Interfaces  # noqa: PLC0415 - only who serves needs a server
    from granian.server import Server  # noqa: PLC0415

    print(f"notes are on {URL}", flush=True)
    Server(application, address="127.0.0.1", port=PORT, interface=Interfaces(interface)).serve()
