"""What the adapters share: a request's state, headers, WSGI environments, and what is told of errors."""

import pytest

from sojourn import Incoming
from sojourn.adapting import (
    NOBODY,
    RequestState,
    as_personal,
    incoming_of_environ,
    told,
    with_outgoing,
)
from sojourn.engine.answers import Checked
from sojourn.errors import (
    ConfigurationError,
    CrossSite,
    InvalidInput,
    InvalidToken,
    Revoked,
    StoreError,
    Unauthenticated,
    UnsupportedInMode,
)
from sojourn.messages import Outgoing


def outgoing(*headers):
    return Outgoing(headers=headers)


# --- headers ----------------------------------------------------------------------------------------


def test_cookies_are_added_to_the_applications_own():
    """None is lost, and their order is kept."""
    own = [("Set-Cookie", "a=1"), ("Content-Type", "text/plain")]
    merged = with_outgoing(own, outgoing(("Set-Cookie", "b=2"), ("Set-Cookie", "c=3")))
    assert [*own, ("Set-Cookie", "b=2"), ("Set-Cookie", "c=3")] == merged


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ([], "Cookie"),
        (["Accept"], "Accept, Cookie"),
        (["accept, Cookie"], "accept, Cookie"),
        (["Accept", "Origin, "], "Accept, Origin, Cookie"),
        (["*"], "*"),
    ],
)
def test_vary_is_joined(own, expected):
    """Each name once, in one line; a star says it all."""
    merged = with_outgoing([("vary", line) for line in own], outgoing(("Vary", "Cookie")))
    assert [("Vary", expected)] == merged


def test_what_else_we_say_replaces():
    """A response with a secret is not cached, whatever the application said of it."""
    merged = with_outgoing(
        [("cache-control", "public"), ("X-Own", "1")], outgoing(("Cache-Control", "no-store"))
    )
    assert [("X-Own", "1"), ("Cache-Control", "no-store")] == merged


def test_nothing_to_add():
    """The headers stay as they are."""
    assert [("A", "b")] == with_outgoing([("A", "b")], Outgoing())


# --- WSGI -------------------------------------------------------------------------------------------


def test_an_environ():
    """Everything that decides is read of it."""
    environ = {
        "REQUEST_METHOD": "POST",
        "HTTP_COOKIE": "a=1",
        "HTTP_AUTHORIZATION": "Bearer x",
        "HTTP_ORIGIN": "https://app.example.com",
        "HTTP_SEC_FETCH_SITE": "same-origin",
        "HTTP_USER_AGENT": "Tester/1",
        "HTTP_X_FORWARDED_FOR": "192.0.2.9",
        "REMOTE_ADDR": "192.0.2.7",
    }
    expected = Incoming(
        method="POST",
        cookies="a=1",
        authorization="Bearer x",
        origin="https://app.example.com",
        sec_fetch_site="same-origin",
        user_agent="Tester/1",
        forwarded_for="192.0.2.9",
        peer="192.0.2.7",
    )
    assert expected == incoming_of_environ(environ)
    assert Incoming() == incoming_of_environ({})


# --- the state of a request ---------------------------------------------------------------------------


def test_nobody_is_known_at_first():
    """Without a check there is no principal, and `require` says to sign in."""
    state = RequestState(Incoming())
    assert (None, NOBODY) == (state.principal, state.checked)
    with pytest.raises(Unauthenticated):
        state.require()


def test_what_a_check_said_is_taken_in():
    """Its refusal is what `require` raises, and its headers go out."""
    state = RequestState(Incoming())
    refused = Checked(refusal=Revoked("ended"), outgoing=outgoing(("Vary", "Cookie")))
    state.take(refused, None)
    assert refused.outgoing == state.outgoing
    with pytest.raises(Revoked):
        state.require()


def test_an_error_counts_before_a_refusal():
    """What cannot be known is not "sign in": that would sign people out for an outage."""
    state = RequestState(Incoming())
    state.error = StoreError("the store is away")
    with pytest.raises(StoreError):
        state.require()


# --- what is told ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "level", "says"),
    [
        (ConfigurationError("a setting is missing"), "ERROR", "a setting is missing"),
        (InvalidInput("roles is a set"), "WARNING", "roles is a set"),
        (UnsupportedInMode("a JWT has none"), "WARNING", "a JWT has none"),
        (StoreError("/srv/app.db is away"), "WARNING", "/srv/app.db is away"),
        (CrossSite("from elsewhere"), "INFO", "from elsewhere"),
        (InvalidToken(reason="malformed"), "INFO", "(malformed)"),
    ],
)
def test_what_a_developer_has_to_know_is_logged(error, level, says, caplog):
    """With the request it ended, at a level that says how much it matters."""
    caplog.set_level("INFO", "sojourn.requests")
    problem = told(error, method="GET", path="/me")
    assert error.status == problem.status
    (record,) = caplog.records
    assert level == record.levelname
    assert record.getMessage().startswith("GET /me: ")
    assert says in record.getMessage()


def test_an_ordinary_refusal_is_not_logged(caplog):
    """Who is not signed in is no event."""
    caplog.set_level("DEBUG", "sojourn.requests")
    assert 401 == told(Unauthenticated("sign in"), method="GET", path="/").status
    assert [] == caplog.records


def test_path_that_holds_line_breaks_forges_no_line(caplog):
    """What a stranger writes into a path stays on its own line of the log."""
    told(StoreError("away"), method="GET", path="/a\nERROR everything is lost\x1b[2J")
    (record,) = caplog.records
    assert "\n" not in record.getMessage()
    assert "\x1b" not in record.getMessage()


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], {"vary": "Cookie", "cache-control": "private"}),
        ([("Vary", "Accept")], {"vary": "Accept, Cookie", "cache-control": "private"}),
        ([("Cache-Control", "public")], {"vary": "Cookie", "cache-control": "public"}),
    ],
)
def test_response_for_one_person_is_kept_from_others(headers, expected):
    """A shared cache is told that it is personal, unless the application has said something else."""
    assert expected == {name.lower(): value for name, value in as_personal(headers)}
