"""The JavaScript client outside a browser: bearer tokens in a storage of the application's, and its types."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from client.serving import PASSWORD
from docs.pages import DOCS, ROOT, blocks_of
from starlette.responses import JSONResponse, RedirectResponse, Response

from sojourn.errors import Revoked

pytestmark = pytest.mark.node

MODULE = ROOT / "clients" / "javascript"
README = MODULE / "README.md"
FOLDER = Path(__file__).parent / "javascript"
SESSION, REFRESH = "/auth/session", "/auth/refresh"


def absent(what):
    """Skip, visibly; where all services are required, fail."""
    if os.environ.get("SOJOURN_REQUIRE_SERVICES") == "1":
        pytest.fail(what)
    pytest.skip(what)


class Application:
    """An application in a process of its own, and somebody with an account."""

    def __init__(self, service):
        if not shutil.which("node"):
            absent("Node.js is not installed")
        self.service = service
        self.account = {"email": service.register(), "password": PASSWORD}
        self.process = subprocess.Popen(
            ["node", FOLDER / "application.mjs", MODULE / "sojourn.js"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.do(open={"url": service.url})

    def try_to(self, **job):
        """Have it do something, which may fail."""
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def do(self, **job):
        """Have it do something, and give what came of it."""
        answer = self.try_to(**job)
        assert "error" not in answer, answer
        return answer["told"]

    def fails(self, **job):
        """Have it do something that fails, and give the code or the message."""
        answer = self.try_to(**job)
        return answer["code"] or answer["error"]

    def login(self, **more):
        told = self.do(call="login", **{"with": [self.account | more]})
        self.service.asked.clear()
        return told

    def get(self, path=SESSION, **more):
        return self.do(fetch=path, **more)

    def tokens(self):
        """What is in its storage."""
        kept = self.do(storage={"failing": False})
        return json.loads(*kept.values()) if kept else None

    def ends(self):
        return [each["code"] for each in self.do(events=True)]

    def outlive_access(self):
        self.service.clock.advance(seconds=15 * 60 + 2)

    def close(self):
        self.process.communicate(timeout=20)


@pytest.fixture
def application(service):
    made = Application(service)
    yield made
    made.close()


def test_tokens_are_kept_in_the_storage_alone(service, application):
    """A login gives who it is; the tokens are in the storage, under a name that keychains take."""
    told = application.login()
    assert {"subject", "sid", "mode", "expires_at"} == set(told)
    ((key, text),) = application.do(storage={"failing": False}).items()
    assert re.fullmatch(r"[\w.-]+", key)
    assert {"access_token", "refresh_token", "renew_at_ms"} == set(json.loads(text))
    assert told["subject"] == application.do(call="session")["subject"]


def test_a_restarted_application_goes_on(service, application):
    """What is in the storage signs in the next start."""
    told = application.login()
    application.do(open={"url": service.url})
    assert told["sid"] == application.do(call="session")["sid"]
    assert 0 == service.refreshes


def test_many_requests_make_one_refresh(service, application):
    """Each is repeated with its result, which was stored before it was used."""
    application.login()
    application.outlive_access()
    application.do(order=True)
    answers = application.get(times=20)
    assert [200] * 20 == [status for status, _ in answers]
    assert (40, 1) == (service.asked["GET " + SESSION], service.refreshes)
    refreshed = ["bare", "set"]
    assert ["carried"] * 20 + refreshed + ["carried"] * 20 == application.do(order=True)


def test_the_access_token_is_renewed_before_its_end(service, application):
    """Where its time has come by the application's clock, no request is refused."""
    application.login()
    (key,) = application.do(storage={"failing": False})
    before = application.tokens()
    assert 0 < before["renew_at_ms"]
    due = json.dumps(before | {"renew_at_ms": 1})
    application.do(put=[key, due])
    application.do(open={"url": service.url})
    assert [200] == [status for status, _ in application.get()]
    assert (1, 1) == (service.asked["GET " + SESSION], service.refreshes)
    assert before["refresh_token"] != application.tokens()["refresh_token"]


def test_a_body_is_sent_again_and_a_stream_is_not(service, application):
    """The stream's refusal is the answer; the next one goes through."""
    application.login()
    application.outlive_access()
    text = {"method": "POST", "body": "a note"}
    ((status, told),) = application.get("/echo", init=text)
    assert (200, "a note") == (status, told["body"])
    application.outlive_access()
    ((status, told),) = application.get("/echo", init={"method": "POST"}, stream="a note")
    assert (401, "refresh_required") == (status, told["code"])
    ((status, told),) = application.get("/echo", init={"method": "POST"}, stream="a note")
    assert (200, "a note") == (status, told["body"])


def test_an_ended_session_ends_the_sign_in(service, application, client):
    """The original 401 is the answer, the storage is empty, the application is told once."""
    told = application.login()
    client.revoke(told["sid"], reason="administrator")
    answers = application.get(times=5)
    assert ["revoked"] * 5 == [told["code"] for _, told in answers]
    assert ["revoked"] == application.ends()
    assert [{"code": "revoked", "detail": "the session was ended: an administrator ended it"}] == (
        application.do(events=True)
    )
    assert application.tokens() is None
    assert 1 == service.refreshes
    assert application.do(call="session") is None


def test_a_handle_has_nothing_to_refresh(service, application, client):
    """Mode session: over when the server says so."""
    told = application.login(mode="session")
    assert application.do(call="session")["sid"] == told["sid"]
    client.revoke(told["sid"])
    assert application.do(call="session") is None
    assert (["revoked"], 0) == (application.ends(), service.refreshes)


@pytest.mark.parametrize(
    "answer",
    [
        Response("<h1>Sign in to the hotel's network</h1>", 200, media_type="text/html"),
        JSONResponse({"hotel": "network"}, 200),
        JSONResponse({"code": "store_unavailable"}, 503, media_type="application/problem+json"),
        RedirectResponse("http://127.0.0.1:9/auth/refresh", 307),
    ],
)
def test_an_answer_that_decides_nothing_throws_nothing_away(answer, service, application):
    """The caller gets the 401; the next request refreshes again. No redirect is followed."""
    application.login()
    application.outlive_access()
    service.refusing[REFRESH] = answer
    ((status, told),) = application.get()
    assert (401, "refresh_required") == (status, told["code"])
    del service.refusing[REFRESH]
    assert [200] == [status for status, _ in application.get()]
    assert [] == application.ends()


def test_a_storage_that_fails_is_told(service, application):
    """What cannot be stored is not used; once the storage works, the same successor comes back."""
    application.login()
    application.outlive_access()
    before = application.tokens()
    application.do(storage={"failing": True})
    assert "the keychain is full" == application.fails(fetch=SESSION)
    assert before == application.tokens()
    assert [200] == [status for status, _ in application.get()]
    assert (2, []) == (service.refreshes, application.ends())


def test_a_storage_that_is_locked_opens_later(service, application):
    """What could not be read is read again with the next request."""
    application.login()
    application.do(storage={"locked": True})
    application.do(open={"url": service.url})
    assert "the keychain is locked" == application.fails(fetch=SESSION)
    application.do(storage={"locked": False})
    assert [200] == [status for status, _ in application.get()]


def test_tokens_go_to_their_origin_only(service, application):
    """Look-alikes and other hosts are fetched without them."""
    application.login()
    application.do(order=True)
    port = service.url.rpartition(":")[2]
    for elsewhere in (
        f"http://localhost:{port}",  # this machine under another name is another origin
        f"{service.url}0",
        f"{service.url}@localhost:{port}",
        f"{service.url}\\@localhost:{port}",
    ):
        application.try_to(fetch=elsewhere + SESSION)
    assert ["bare"] * 4 == application.do(order=True)
    application.get(service.url + SESSION)
    assert ["carried"] == application.do(order=True)


def test_a_redirect_to_another_origin_takes_no_token_along(service, application):
    """And what is answered there changes nothing."""
    application.login()
    problem = {"code": "revoked", "detail": "so they say"}
    service.refusing["/bait"] = JSONResponse(problem, 401, media_type="application/problem+json")
    elsewhere = service.url.replace("127.0.0.1", "localhost") + "/bait"
    ((status, told),) = application.get(f"/hop?to={elsewhere}")
    assert (401, "revoked") == (status, told["code"])
    assert [""] == service.authorizations("/bait")
    assert ([], 0) == (application.ends(), service.refreshes)


def test_what_was_done_before_a_redirect_is_not_done_again(service, application):
    """A form was taken and its next page refused: that is the answer, and the form is not repeated."""
    application.login()
    application.outlive_access()
    ((status, _),) = application.get("/save", init={"method": "POST", "body": "a note"})
    assert (401, 1, 1) == (status, service.asked["POST /save"], service.refreshes)
    assert 200 == application.get()[0][0]


def test_logout_forgets_and_tells_the_server(service, application, client):
    """The session is over, the storage empty, the application told."""
    application.login()
    refresh_token = application.tokens()["refresh_token"]
    application.do(call="logout")
    assert (None, ["logout"]) == (application.tokens(), application.ends())
    client.sign_in.adopt({"access_token": "x", "refresh_token": refresh_token, "expires_in": 60})
    with pytest.raises(Revoked, match="you signed out"):
        client.sign_in.refresh()


def test_a_changed_password_goes_on_under_new_tokens(service, application):
    """Earlier proofs are over; those of the answer are kept. Confirming gives others once more."""
    application.login()
    service.clock.advance(seconds=1)
    new = "another four calm words"
    application.do(call="changePassword", **{"with": [{"current": PASSWORD, "new": new}]})
    application.do(call="confirm", **{"with": [{"password": new}]})
    assert 200 == application.get()[0][0]
    assert "invalid_credentials" == application.fails(
        call="confirm", **{"with": [{"password": "a guess"}]}
    )
    assert 0 == service.refreshes


def test_the_url_is_checked(service, application):
    """What is no web address is refused at once."""
    for url in ("app.example.com", "ftp://app.example.com", "https://"):
        assert "url is" in application.fails(open={"url": url})


# --- the types ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tsc(request, tmp_path_factory):
    """The type checker, installed once and kept with pytest's cache."""
    if not shutil.which("node") or not shutil.which("npm"):
        absent("Node.js and npm are not installed")
    version = json.loads((FOLDER / "package.json").read_text())["dependencies"]["typescript"]
    cache = getattr(request.config, "cache", None)
    kept = cache.mkdir("npm") if cache else tmp_path_factory.mktemp("npm")
    home = kept / f"typescript-{version}"
    script = home / "node_modules" / "typescript" / "bin" / "tsc"
    if not script.is_file():
        fresh = tmp_path_factory.mktemp("types") / "home"
        fresh.mkdir()
        shutil.copyfile(FOLDER / "package.json", fresh / "package.json")
        install = subprocess.run(
            ["npm", "install", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=fresh, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        if install.returncode != 0:
            absent(f"npm cannot install typescript {version}")
        if not home.exists():  # another worker may have been quicker
            shutil.copytree(fresh, home)
    return script


def test_the_types_are_right(tsc, tmp_path):
    """The declarations fit the module (checked by its comments), a consumer, and the page's examples."""
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    shutil.copytree(MODULE, tmp_path / "node_modules" / "@sojourn" / "client")
    blocks = blocks_of(DOCS / "javascript.md", "js")
    page = blocks[0].code + "".join(
        block.code for block in blocks[1:] if "createClient" not in block.code
    )
    apart = [block.code for block in blocks[1:] if "createClient" in block.code]
    for number, code in enumerate([page, *apart, *(b.code for b in blocks_of(README, "js"))]):
        (tmp_path / f"page_{number}.js").write_text(f"{code}\nexport {{}};\n")
    done = subprocess.run(
        ["node", tsc, "-p", tmp_path], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout
    assert len(apart) == 3


def test_the_package_has_what_it_names():
    """Both files are there, and nothing else is needed."""
    package = json.loads((MODULE / "package.json").read_text())
    assert "dependencies" not in package
    assert all((MODULE / name).is_file() for name in package["files"])
    assert (True, "module") == (package["private"], package["type"])
