"""On real servers: who is signed out is disconnected within a second, from this process or another."""

from pathlib import Path

import httpx2
import pytest
from asgi.live import PATIENCE_SECONDS, closed, live, rest_of
from websockets.exceptions import InvalidStatus

from sojourn import ANY

APP = Path(__file__).with_name("raw_app.py")


@pytest.fixture(scope="module", params=["uvicorn", "granian"])
def served(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    with live(request.param, APP, folder) as served:
        yield served


@pytest.fixture(params=["the same process", "another process"])
def end(request, served):
    """End a session: in the process that holds the connection, or elsewhere on the same store."""

    def end(sid):
        if request.param == "another process":
            served.elsewhere.revoke(sid, subject=ANY)
        else:
            httpx2.post(f"{served.url}/end", json={"sid": sid}).raise_for_status()

    return end


@pytest.mark.parametrize("mode", ["session", "jwt", "hybrid"])
def test_a_websocket_is_closed(mode, served, end):
    """With the code and the reason, in each mode."""
    headers, sid = served.sign_in(mode=mode)
    with served.connect("/echo", headers) as socket:
        assert "ann" == socket.recv(timeout=PATIENCE_SECONDS)
        socket.send("hello")
        assert "hello" == socket.recv(timeout=PATIENCE_SECONDS)
        end(sid)
        assert (4401, "revoked") == closed(socket)
    with pytest.raises(InvalidStatus) as refused, served.connect("/echo", headers):
        pass
    assert 403 == refused.value.response.status_code


def test_an_application_that_only_sends(served, end):
    """It is stopped by its next send."""
    headers, sid = served.sign_in()
    with served.connect("/ticks", headers) as socket:
        assert "tick" == socket.recv(timeout=PATIENCE_SECONDS)
        end(sid)
        assert (4401, "revoked") == closed(socket)


def test_an_event_stream_ends(served, end):
    """The response comes to a proper end, and not to a broken connection."""
    headers, sid = served.sign_in()
    with served.events("/events", headers) as (response, lines):
        assert "data: ann" == next(lines)
        end(sid)
        assert all(not line for line in rest_of(response, lines))


def test_roles_that_changed(served):
    """The client is told to connect again."""
    headers, _ = served.sign_in(roles=["admin"])
    with served.connect("/echo", headers) as socket:
        assert "ann" == socket.recv(timeout=PATIENCE_SECONDS)
        served.elsewhere.update("ann", roles={"editor"})
        assert (4401, "refresh_required") == closed(socket)


def test_another_session_goes_on(served):
    """Of one subject's two, the one that was ended is closed."""
    here, sid = served.sign_in()
    there, other = served.sign_in()
    with served.connect("/echo", here) as first, served.connect("/echo", there) as second:
        served.elsewhere.revoke(sid, subject=ANY)
        assert (4401, "revoked") == closed(first)
        second.recv(timeout=PATIENCE_SECONDS)
        second.send("still here")
        assert "still here" == second.recv(timeout=PATIENCE_SECONDS)
        served.elsewhere.revoke(other, subject=ANY)
        assert (4401, "revoked") == closed(second)
