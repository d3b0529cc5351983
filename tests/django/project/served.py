# ruff: noqa: E402 - Django is set up before what needs it is imported
"""The project as servers run it: `wsgi` and `application` (ASGI, with WebSockets)."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")

from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application

wsgi = get_wsgi_application()
http = get_asgi_application()

from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.urls import path

from sojourn.django.channels import SojournMiddleware


class Echo(AsyncWebsocketConsumer):
    """Says who it is, then echoes."""

    async def connect(self):
        await self.accept()
        principal = self.scope["principal"]
        await self.send(principal.subject if principal else "nobody")

    async def receive(self, text_data=None, bytes_data=None):
        await self.send(f"{self.scope['user'].get_username()}: {text_data}")


application = ProtocolTypeRouter(
    {"http": http, "websocket": SojournMiddleware(URLRouter([path("echo", Echo.as_asgi())]))}
)
