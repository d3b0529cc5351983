"""`flask.session` in Sojourn's stores; what Flask's own tests ask of a session interface, and more."""

import uuid
from datetime import UTC, datetime

import pytest
from flask import Flask, flash, get_flashed_messages, render_template_string, request, session
from markupsafe import Markup

from sojourn import StoreError
from sojourn.flask import Auth, SojournSession, SojournSessionInterface, login_user, logout_user
from sojourn.flask.testing import SignedInClient
from sojourn.testing import ManualClock

URL = "http://127.0.0.1:5000"


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def auth(clock):
    return Auth(store="memory://", url=URL, mode="session", clock=clock, monotonic_ms=clock)


@pytest.fixture
def app(auth):
    app = Flask(__name__)
    app.config["TESTING"] = True
    app.session_interface = SojournSessionInterface()
    app.test_client_class = SignedInClient
    auth.init_app(app)

    @app.post("/set")
    def set_value():
        session["value"] = request.form["value"]
        return "value set"

    @app.get("/get")
    def get_value():
        return session.get("value", "")

    @app.get("/untouched")
    def untouched():
        return "untouched"

    @app.post("/login")
    def login():
        login_user("ann", carry=request.args.getlist("carry"))
        return "in"

    @app.post("/logout")
    def logout():
        logout_user()
        flash("signed out")
        return "out"

    @app.get("/flashed")
    def flashed():
        return get_flashed_messages()

    return app


@pytest.fixture
def client(app):
    return app.test_client()


@pytest.fixture
def reads(app, monkeypatch):
    """Count what is read of session data."""
    store = app.extensions["sojourn"].auth.sojourn.core.store
    read, get_data = [], store.get_data

    async def counted(sid):
        read.append(sid)
        return await get_data(sid)

    monkeypatch.setattr(store, "get_data", counted)
    return read


def test_a_value_is_kept(client):
    """What is set in one request is there in the next, for a visitor too, under no secret key."""
    assert "value set" == client.post("/set", data={"value": "42"}).text
    assert "42" == client.get("/get").text


def test_who_only_looks_leaves_nothing_behind(client):
    """A visitor's session comes into being at the first write."""
    answer = client.get("/get")
    assert ([], {"Cookie"}) == (answer.headers.getlist("Set-Cookie"), set(answer.vary))


def test_a_request_that_does_not_touch_the_session(app, reads):
    """It costs no read; a visitor's answer may be shared, whoever is signed in has one of their own."""
    assert "Vary" not in app.test_client().get("/untouched").headers
    client = app.test_client(user="ann")
    client.post("/set", data={"value": "42"})
    reads.clear()
    answer = client.get("/untouched")
    assert ([], "Cookie") == (reads, answer.headers.get("Vary"))
    assert "42" == client.get("/get").text
    assert 1 == len(reads)


def test_a_template_does_not_touch_it(app, reads):
    """Flask gives every template the session; one that does not look at it costs nothing."""
    app.add_url_rule("/page", view_func=lambda: render_template_string("a page"))
    client = app.test_client(user="ann")
    assert ("a page", []) == (client.get("/page").text, reads)


def test_special_types(app, client):
    """What Flask's own sessions hold comes back as it was: tuples, dates, bytes, UUIDs, Markup."""
    now = datetime.now(UTC).replace(microsecond=0)
    values = {
        "t": (1, 2, 3),
        "b": b"\xff",
        "m": Markup("<b>hi</b>"),
        "u": uuid.uuid4(),
        "d": now,
        "l": [1, (2, 3), {"n": (4,)}],
        "n": None,
        "tag": {" t": ["not a tuple"]},
        "di": {" di": [1, 2]},
    }

    @app.post("/special")
    def special():
        session.update(values)
        return ""

    @app.get("/special")
    def compare():
        assert values == dict(session)
        assert isinstance(session["t"], tuple)
        assert "<b>hi</b>" == session["m"].__html__()
        return "same"

    client.post("/special")
    assert "same" == client.get("/special").text


def test_nested_values_are_changed_in_place(app, client):
    """Without a word: what changed is found by comparing."""

    @app.post("/nested")
    def nested():
        session.setdefault("basket", {"items": []})["items"].append(1)
        return {"n": len(session["basket"]["items"])}

    assert [1, 2] == [client.post("/nested").json["n"] for _ in range(2)]


def test_new_modified_accessed_permanent(app, client):
    """The attributes that Flask documents say what they say there."""

    @app.get("/facts")
    def facts():
        opened = session._get_current_object()
        assert not opened.modified
        is_new = session.new
        assert session.accessed
        session.permanent = True
        assert opened.modified
        assert session["_permanent"]
        return {"is_new": is_new, "is_permanent": session.permanent, "shown": repr(opened)}

    first = client.get("/facts").json
    assert (True, True) == (first["is_new"], first["is_permanent"])
    assert "SojournSession(keys=['_permanent'])" == first["shown"], "no values in a log"
    assert not client.get("/facts").json["is_new"]


def test_a_dictionary_in_every_way(app, client):
    """`pop`, `del`, `in`, `len`, `clear` do what they do with a dictionary."""

    @app.get("/ways")
    def ways():
        session.update(a=1, b=2, c=3)
        del session["a"]
        assert 2 == session.pop("b")
        assert "c" in session
        assert ["value", "c"] == list(session)
        assert 2 == len(session)
        with pytest.raises(KeyError):
            session["a"]
        session.clear()
        return ""

    client.post("/set", data={"value": "42"})
    client.get("/ways")
    assert "" == client.get("/get").text


def test_flashes(client, app):
    """A message is there once, with its category."""

    @app.post("/flash")
    def say():
        flash("hello", "warning")
        flash(Markup("<i>you</i>"))
        return ""

    @app.get("/said")
    def said():
        return get_flashed_messages(with_categories=True)

    client.post("/flash")
    assert [["warning", "hello"], ["message", "<i>you</i>"]] == client.get("/said").json
    assert [] == client.get("/said").json


def test_session_transactions(client, app):
    """Flask's test client reads and writes it outside of requests."""
    with client.session_transaction() as opened:
        assert isinstance(opened, SojournSession)
        opened["value"] = "of the test"
    assert "of the test" == client.get("/get").text
    with client.session_transaction() as opened:
        assert "of the test" == opened["value"]
        opened["value"] = "changed"
    assert "changed" == client.get("/get").text
    signed_in = app.test_client(user="ann")
    with signed_in.session_transaction() as opened:
        opened["value"] = "of ann"
    assert "of ann" == signed_in.get("/get").text
    with signed_in.session_transaction():
        pass


def test_a_sign_in_takes_the_named_keys_along(client):
    """What a visitor kept goes no further, but for what `carry` names."""
    client.post("/set", data={"value": "of a stranger"})
    client.post("/login")
    assert "" == client.get("/get").text
    client.post("/logout")
    client.post("/set", data={"value": "of a stranger"})
    client.post("/login?carry=value")
    assert "of a stranger" == client.get("/get").text


def test_a_value_with_a_type_is_carried_too(app, client):
    """By the same name."""
    app.add_url_rule("/type", view_func=lambda: type(session.get("value")).__name__)
    with client.session_transaction() as opened:
        opened["value"] = (1, 2)
    client.post("/login?carry=value")
    assert "tuple" == client.get("/type").text


@pytest.mark.parametrize("where", ["before", "after", "both"])
def test_what_the_request_of_a_sign_in_changes_goes_along(where, app, client):
    """A message flashed before or after `login_user` in its request is shown to who signed in."""

    @app.post("/in")
    def log_in():
        if where != "after":
            session["old"] = session.get("old", "") + "!"
            session["before"] = 1
            session.pop("gone", None)
        login_user("ann", carry=["old", "gone"])
        if where != "before":
            session["after"] = 2
        return ""

    @app.get("/all")
    def everything():
        return dict(session)

    with client.session_transaction() as opened:
        opened.update(old="?", kept="not", gone=1)
    client.post("/in")
    before = {"old": "?!", "before": 1}
    after = {"after": 2}
    expected = {
        "before": before,
        "after": {"old": "?", "gone": 1, **after},
        "both": before | after,
    }
    assert expected[where] == client.get("/all").json


def test_a_logout_ends_it(app):
    """It is gone with the sign-in, what its request wrote before too; what it flashes after is shown."""

    @app.post("/away")
    def away():
        session["value"] = "unsaved"
        logout_user()
        return ""

    client = app.test_client(user="ann")
    client.post("/set", data={"value": "of ann"})
    client.post("/logout")
    assert ["signed out"] == client.get("/flashed").json
    assert "" == client.get("/get").text
    client = app.test_client(user="ann")
    client.post("/away")
    assert "" == client.get("/get").text


def test_a_visitor_who_signs_out(client):
    """A logout where nobody was signed in is answered, and what it flashes is shown."""
    client.post("/set", data={"value": "of a stranger"})
    client.post("/logout")
    assert ["signed out"] == client.get("/flashed").json
    assert "" == client.get("/get").text


def test_beside_auth_data(app, auth):
    """`auth.data()` is the same data; neither undoes what the other changed."""

    @app.post("/both")
    def both():
        session["a"] = 1
        auth.data()["b"] = 2
        return ""

    @app.get("/all")
    def everything():
        return dict(session)

    client = app.test_client(user="ann")
    client.post("/both")
    assert {"a": 1, "b": 2} == client.get("/all").json


TAGS = [
    {" m": "<script>"}, {" t": 5}, {" b": "!!"}, {" u": "zz"}, {" d": "x"}, {" di": 1},
    {"a": {" m": "x"}}, [{" m": "x"}],
]  # fmt: skip


@pytest.mark.parametrize("value", TAGS, ids=str)
def test_what_looks_like_a_tag_is_none(value, app, auth):
    """JSON that a stranger sent is JSON, whether `flask.session` or `auth.data()` was given it."""

    @app.post("/here")
    def here():
        session["here"] = value
        return ""

    @app.post("/there")
    def there():
        auth.data()["there"] = value
        return ""

    @app.get("/all")
    def everything():
        assert value == session.get("here") == session.get("there")
        assert {dict, list} >= {type(one) for one in session.values()}
        return "same"

    client = app.test_client(user="ann")
    client.post("/here")
    client.post("/there")
    assert "same" == client.get("/all").text


def test_a_value_with_a_type_is_overwritten(app, auth):
    """Whoever writes last, here or by `auth.data()`, has written all there is of a key."""
    client = app.test_client(user="ann")

    @app.post("/typed")
    def typed():
        session["a"] = Markup("<b>")
        session["flask:a"] = 1
        return ""

    @app.post("/by-data")
    def by_data():
        auth.data()["a"] = {" m": "<script>"}
        return ""

    @app.get("/all")
    def everything():
        return [type(session.get(key)).__name__ for key in ("a", "flask:a")]

    @app.post("/plain")
    def plain():
        session["a"] = 1
        del session["flask:a"]
        return ""

    @app.get("/names")
    def names():
        return sorted(auth.data())

    client.post("/typed")
    assert ["Markup", "int"] == client.get("/all").json
    client.post("/by-data")
    assert ["dict", "int"] == client.get("/all").json
    client.post("/typed")
    client.post("/plain")
    assert ["int", "NoneType"] == client.get("/all").json
    assert ["a"] == client.get("/names").json


def test_two_requests_at_once_lose_nothing(app):
    """What another request wrote meanwhile stays, under other keys."""
    client = app.test_client(user="ann")

    @app.post("/slow")
    def slow():
        session["slow"] = 1
        client.post("/set", data={"value": "quick"})
        return ""

    @app.get("/all")
    def everything():
        return dict(session)

    client.post("/slow")
    assert {"slow": 1, "value": "quick"} == client.get("/all").json


def test_a_failing_save_is_not_claimed_to_be_one(app, monkeypatch):
    """The answer is then a problem document, not the view's."""
    client = app.test_client(user="ann")

    async def failing(*_: object, **__: object) -> bool:
        raise StoreError("the store is away; check it")

    monkeypatch.setattr(app.extensions["sojourn"].auth.sojourn.core.store, "put_data", failing)
    answer = client.post("/set", data={"value": "42"})
    assert (503, "store_unavailable") == (answer.status_code, answer.json["code"])


def test_what_cannot_be_kept_is_refused(app, client):
    """Too much is answered with a word; an object of one's own is the view's mistake."""
    refused = client.post("/set", data={"value": "x" * 40_000})
    assert (400, "invalid_input") == (refused.status_code, refused.json["code"])

    def put(value):
        session["value"] = value
        return ""

    with app.test_request_context():
        put(object())
        with pytest.raises(TypeError, match="not JSON serializable"):
            app.process_response(app.make_response(""))


def test_another_origin_does_not_fill_it(client):
    """A page of another site cannot write to a visitor's session."""
    evil = {"Origin": "https://evil.example"}
    refused = client.post("/set", data={"value": "x"}, headers=evil)
    assert (403, "cross_site") == (refused.status_code, refused.json["code"])


def test_in_mode_jwt(auth):
    """A JWT has no data: touching the session says so, and everything else works."""
    app = Flask(__name__)
    app.session_interface = SojournSessionInterface()
    app.test_client_class = SignedInClient
    auth.init_app(app, mode="jwt")
    app.add_url_rule("/get", view_func=lambda: session.get("value", "none"))
    app.add_url_rule("/", "index", lambda: "untouched")
    client = app.test_client(user="ann")
    assert "untouched" == client.get("/").text
    refused = client.get("/get")
    assert (409, "unsupported_in_mode") == (refused.status_code, refused.json["code"])
    assert "none" == app.test_client().get("/get").text


def test_it_ends_with_the_session(app, clock):
    """A visitor's goes after hours without use."""
    client = app.test_client()
    client.post("/set", data={"value": "42"})
    clock.advance(seconds=4 * 3600 + 1)
    assert "" == client.get("/get").text
