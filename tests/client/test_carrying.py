"""Tokens are carried to their origin only, renewed when they are over, and a request repeated once."""

import pytest
from client.conftest import Client
from client.serving import Service, in_this_process
from starlette.responses import JSONResponse

SESSION = "/auth/session"


def test_a_request_carries_the_access_token(service, client, carrier):
    """Whoever signed in is known at the next request, without a refresh."""
    told = client.login()
    answer = carrier.send("GET", service.url + SESSION)
    assert (200, told["subject"]) == (answer.status, answer.body["subject"])
    assert 0 == service.refreshes


def test_nobody_signed_in_carries_nothing(service, client, carrier):
    """Without a sign-in requests go as they are."""
    assert "unauthenticated" == carrier.send("GET", service.url + SESSION).code
    assert [""] == service.authorizations(SESSION)


def test_an_expired_access_token_is_renewed_and_the_request_repeated(service, client, carrier):
    """The caller sees the answer, not the 401 before it."""
    told = client.login()
    client.outlive_access()
    answer = carrier.send("GET", service.url + SESSION)
    assert (200, told["sid"]) == (answer.status, answer.body["sid"])
    assert (2, 1) == (service.asked["GET " + SESSION], service.refreshes)
    assert 200 == carrier.send("GET", service.url + SESSION).status
    assert 1 == service.refreshes
    assert [] == client.ends


def test_an_access_token_is_renewed_shortly_before_its_end(service, client, carrier):
    """Where the clock says so no request is refused at all."""
    client.login()
    for clock in (service.clock, client.clock):
        clock.advance(seconds=15 * 60 - 20)
    assert 200 == carrier.send("GET", service.url + SESSION).status
    assert (1, 1) == (service.asked["GET " + SESSION], service.refreshes)


def test_a_body_in_memory_is_sent_again(service, client, carrier):
    """A POST is repeated with its body."""
    client.login()
    client.outlive_access()
    answer = carrier.send("POST", service.url + "/echo", b"a note")
    assert (200, "a note") == (answer.status, answer.body["body"])


def test_a_body_that_is_made_as_it_is_sent_is_not(service, client, carrier):
    """A generator's 401 is the answer; the next request carries renewed tokens."""
    client.login()
    client.outlive_access()
    answer = carrier.send("POST", service.url + "/echo", iter([b"a ", b"note"]))
    assert (401, "refresh_required") == (answer.status, answer.code)
    assert (1, 1) == (service.asked["POST /echo"], service.refreshes)
    answer = carrier.send("POST", service.url + "/echo", iter([b"a ", b"note"]))
    assert (200, "a note") == (answer.status, answer.body["body"])


def test_a_refusal_after_the_renewal_is_the_answer(service, client, carrier):
    """A request is repeated once, not for ever."""
    client.login()
    problem = {"code": "refresh_required", "detail": "roles have changed"}
    service.refusing["/strict"] = JSONResponse(problem, 401, media_type="application/problem+json")
    assert "refresh_required" == carrier.send("GET", service.url + "/strict").code
    assert (2, 1) == (service.asked["GET /strict"], service.refreshes)


@pytest.mark.parametrize(
    ("status", "media_type"),
    [(401, "application/json"), (403, "application/problem+json")],
)
def test_what_is_no_refusal_of_the_token_is_left_alone(
    status, media_type, service, client, carrier
):
    """Another status, or a body that is no problem document, leads to no refresh."""
    client.login()
    service.refusing["/other"] = JSONResponse(
        {"code": "refresh_required"}, status, media_type=media_type
    )
    assert status == carrier.send("GET", service.url + "/other").status
    assert (1, 0) == (service.asked["GET /other"], service.refreshes)


# --- the end of a sign-in -------------------------------------------------------------------------


def test_an_ended_session_ends_the_sign_in(service, client, carrier):
    """The original 401 is the answer; the tokens are gone; the page is told why, once."""
    told = client.login()
    client.revoke(told["sid"], reason="administrator")
    answer = carrier.send("GET", service.url + SESSION)
    assert (401, "revoked") == (answer.status, answer.code)
    assert [("revoked", "the session was ended: an administrator ended it")] == client.ends
    assert not client.sign_in.is_signed_in
    assert "revoked" == client.sign_in.why_signed_out.code
    assert "unauthenticated" == carrier.send("GET", service.url + SESSION).code
    assert (1, 1) == (service.refreshes, len(client.ends))


def test_a_handle_has_nothing_to_refresh(service, client, carrier):
    """Mode session: carried as it is, and over when the server says so."""
    told = client.login(mode="session")
    assert 200 == carrier.send("GET", service.url + SESSION).status
    assert service.authorizations(SESSION)[0].startswith("Bearer sj_")
    client.revoke(told["sid"])
    assert "revoked" == carrier.send("GET", service.url + SESSION).code
    assert ["revoked"] == [code for code, _ in client.ends]
    assert 0 == service.refreshes


def test_a_jwt_ends_at_its_expiry(service, client, carrier):
    """Mode jwt: nothing stands behind the token that could be refreshed."""
    client.login(mode="jwt")
    service.clock.advance(seconds=12 * 3600 + 2)
    assert "expired" == carrier.send("GET", service.url + SESSION).code
    assert ["expired"] == [code for code, _ in client.ends]
    assert (False, 0) == (client.sign_in.is_signed_in, service.refreshes)


# --- only to its own origin -----------------------------------------------------------------------


@pytest.fixture
def elsewhere(tmp_path):
    """A server of another origin: another port of this machine."""
    other = Service(tmp_path)
    with in_this_process(other, other.url):
        yield other


def test_another_origin_gets_no_token(service, client, carrier, elsewhere):
    """Neither asked itself nor by a redirect, and what it answers changes nothing."""
    client.login()
    problem = {"code": "revoked", "detail": "so they say"}
    elsewhere.refusing["/bait"] = JSONResponse(problem, 401, media_type="application/problem+json")
    direct = elsewhere.url + "/bait"
    for url in (direct, f"{service.url}/hop?to={direct}"):
        answer = carrier.send("GET", url)
        assert (401, direct) == (answer.status, answer.url)
    assert ["", ""] == elsewhere.authorizations("/bait")
    assert service.authorizations("/hop")[0].startswith("Bearer ")
    assert (0, [], True) == (service.refreshes, client.ends, client.sign_in.is_signed_in)


def test_after_a_redirect_only_what_was_refused_is_repeated(service, client, carrier):
    """A form was taken and its next page refused: the page is asked for again, the form is not."""
    client.login()
    client.outlive_access()
    answer = carrier.send("POST", service.url + "/save", b"a note")
    assert (200, service.url + SESSION) == (answer.status, answer.url)
    assert (1, 2) == (service.asked["POST /save"], service.asked["GET " + SESSION])


def test_two_people_in_one_program(service):
    """Each sign-in carries its own tokens."""
    from client.carriers import CARRIERS

    people = [Client(service) for _ in range(2)]
    subjects = [person.login()["subject"] for person in people]
    for person, subject in zip(people, subjects, strict=True):
        carrier = CARRIERS["httpx2"](person.sign_in)
        assert subject == carrier.send("GET", service.url + SESSION).body["subject"]
        carrier.close()
