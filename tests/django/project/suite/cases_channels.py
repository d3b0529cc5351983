"""WebSockets of Django Channels.

With asgiref's communicator: the one of Channels is the same, and cannot be imported without Daphne.
"""

from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.test import Client, TransactionTestCase, override_settings
from served import application

from sojourn.django import get_auth, subject_of
from sojourn.django.testing import sign_in

ORIGIN = "http://testserver.localhost:8000"
SECONDS = 10


def header(client):
    pairs = [f"{name}={morsel.value}" for name, morsel in client.cookies.items()]
    return [(b"cookie", "; ".join(pairs).encode())]


class Socket:
    """A client's end of a WebSocket."""

    def __init__(self, headers=(), origin=ORIGIN):
        self._end = ApplicationCommunicator(
            application,
            {
                "type": "websocket",
                "path": "/echo",
                "headers": [*headers, (b"origin", origin.encode())],
            },
        )

    async def connect(self):
        await self._end.send_input({"type": "websocket.connect"})
        return await self.event()

    async def event(self):
        return await self._end.receive_output(SECONDS)

    async def text(self):
        return (await self.event())["text"]

    async def send(self, text):
        await self._end.send_input({"type": "websocket.receive", "text": text})

    async def leave(self):
        await self._end.send_input({"type": "websocket.disconnect", "code": 1000})
        await self.wait()

    async def wait(self):
        await self._end.wait(SECONDS)


@override_settings(SOJOURN={"URL": ORIGIN, "STORE": "memory://"})
class SocketCase(TransactionTestCase):
    def setUp(self):
        self.ann = User.objects.create_user("ann", password="seven unrelated words")

    async def is_nobody(self, headers):
        """Connect, and be told so."""
        connection = Socket(headers)
        self.assertEqual("websocket.accept", (await connection.connect())["type"])
        self.assertEqual("nobody", await connection.text())
        await connection.leave()

    async def test_whom_django_knows_no_more(self):
        """By a query, of which Django tells nobody: not active, or with a password from elsewhere."""
        ours, theirs = Client(), Client()
        await sync_to_async(sign_in)(ours, self.ann)
        await sync_to_async(theirs.force_login)(self.ann)
        await User.objects.aupdate(password=make_password("eight new"))
        await self.is_nobody(header(theirs))
        await User.objects.aupdate(is_active=False)
        await self.is_nobody(header(ours))

    async def ends_with_its_session(self, headers):
        """Connect, be known, and be closed when the session ends."""
        connection = Socket(headers)
        self.assertEqual("websocket.accept", (await connection.connect())["type"])
        self.assertEqual(subject_of(self.ann), await connection.text())
        await connection.send("hello")
        self.assertEqual("ann: hello", await connection.text())
        await sync_to_async(get_auth().revoke_all)(subject_of(self.ann))
        self.assertEqual(
            {"type": "websocket.close", "code": 4401, "reason": "revoked"},
            await connection.event(),
        )
        await connection.wait()

    async def test_by_djangos_session(self):
        """The cookie of way one."""
        client = Client()
        await sync_to_async(client.force_login)(self.ann)
        await self.ends_with_its_session(header(client))

    async def test_by_our_cookies(self):
        """The cookies of way two."""
        client = Client()
        await sync_to_async(sign_in)(client, self.ann)
        await self.ends_with_its_session(header(client))

    async def test_by_bearer(self):
        """A client that is no browser."""
        signed_in = await sync_to_async(sign_in)(
            Client(), self.ann, transport="bearer", mode="session"
        )
        await self.ends_with_its_session(
            [(b"authorization", f"Bearer {signed_in.access_token}".encode())]
        )

    async def test_a_page_of_another_site(self):
        """Cross-site WebSocket hijacking: the cookies are not believed."""
        client = Client()
        await sync_to_async(client.force_login)(self.ann)
        connection = Socket(header(client), "https://elsewhere.example")
        await connection.connect()
        self.assertEqual("nobody", await connection.text())
        await connection.leave()

    async def test_nobody(self):
        """An application decides by itself whether it wants somebody."""
        connection = Socket()
        await connection.connect()
        self.assertEqual("nobody", await connection.text())
        await connection.send("hello")
        self.assertEqual(": hello", await connection.text())
        await connection.leave()

    async def test_without_the_store(self):
        """The handshake is refused."""
        client = Client()
        await sync_to_async(client.force_login)(self.ann)
        with override_settings(SOJOURN={"URL": ORIGIN, "STORE": "sqlite:////dev/null/no.db"}):
            refused = await Socket(header(client)).connect()
        self.assertEqual(
            {"type": "websocket.close", "code": 1013, "reason": "store_unavailable"}, refused
        )
