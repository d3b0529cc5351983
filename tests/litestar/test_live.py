"""On a real server: who is signed out is disconnected within a second, whatever handler it is."""

from pathlib import Path

import pytest
from asgi.live import PATIENCE_SECONDS, closed, live, rest_of
from websockets.exceptions import InvalidStatus

from sojourn import ANY


@pytest.fixture(scope="module", params=["uvicorn", "granian"])
def served(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    with live(request.param, Path(__file__).with_name("litestar_app.py"), folder) as served:
        yield served


@pytest.mark.parametrize("path", ["/echo", "/listener", "/ticks"])
@pytest.mark.parametrize("mode", ["session", "hybrid"])
def test_a_websocket_is_closed(path, mode, served):
    """A handler, a listener and a stream: with the code and the reason, and nothing in the log."""
    headers, sid = served.sign_in(mode=mode)
    with served.connect(path, headers) as socket:
        if path == "/listener":
            socket.send("hello")
        assert socket.recv(timeout=PATIENCE_SECONDS) in {"ann", "hello", "tick"}
        served.elsewhere.revoke(sid, subject=ANY)
        assert (4401, "revoked") == closed(socket)
    with pytest.raises(InvalidStatus) as refused, served.connect(path, headers):
        pass
    assert 403 == refused.value.response.status_code


def test_changed_roles(served):
    """The client is told to connect again."""
    headers, _ = served.sign_in(roles=["admin"])
    with served.connect("/echo", headers) as socket:
        socket.recv(timeout=PATIENCE_SECONDS)
        served.elsewhere.update("ann", roles=set())
        assert (4401, "refresh_required") == closed(socket)


def test_an_event_stream_ends(served):
    """The response comes to its end, though its generator waits for something else."""
    headers, sid = served.sign_in()
    with served.events("/events", headers) as (response, lines):
        assert "data: ann" == next(lines)
        served.elsewhere.revoke(sid, subject=ANY)
        assert all(not line for line in rest_of(response, lines))
