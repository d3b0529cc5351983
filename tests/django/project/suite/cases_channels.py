"""WebSockets of Django Channels, with the package's own communicator."""

from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator
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


def socket(headers=(), origin=ORIGIN):
    return WebsocketCommunicator(application, "/echo", [*headers, (b"origin", origin.encode())])


@override_settings(SOJOURN={"URL": ORIGIN, "STORE": "memory://"})
class SocketCase(TransactionTestCase):
    def setUp(self):
        self.ann = User.objects.create_user("ann", password="seven unrelated words")

    async def ends_with_its_session(self, headers):
        """Connect, be known, and be closed when the session ends."""
        connection = socket(headers)
        self.assertEqual((True, None), await connection.connect(SECONDS))
        self.assertEqual(subject_of(self.ann), await connection.receive_from(SECONDS))
        await connection.send_to(text_data="hello")
        self.assertEqual("ann: hello", await connection.receive_from(SECONDS))
        await sync_to_async(get_auth().revoke_all)(subject_of(self.ann))
        closed = await connection.receive_output(SECONDS)
        self.assertEqual(
            {"type": "websocket.close", "code": 4401, "reason": "revoked"}, closed
        )
        await connection.wait(SECONDS)

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
        connection = socket(header(client), "https://elsewhere.example")
        await connection.connect(SECONDS)
        self.assertEqual("nobody", await connection.receive_from(SECONDS))
        await connection.disconnect(timeout=SECONDS)

    async def test_nobody(self):
        """An application decides by itself whether it wants somebody."""
        connection = socket()
        await connection.connect(SECONDS)
        self.assertEqual("nobody", await connection.receive_from(SECONDS))
        await connection.send_to(text_data="hello")
        self.assertEqual(": hello", await connection.receive_from(SECONDS))
        await connection.disconnect(timeout=SECONDS)

    async def test_without_the_store(self):
        """The handshake is refused."""
        client = Client()
        await sync_to_async(client.force_login)(self.ann)
        with override_settings(SOJOURN={"URL": ORIGIN, "STORE": "sqlite:////dev/null/no.db"}):
            self.assertEqual((False, 1008), await socket(header(client)).connect(SECONDS))
