"""Tokens of the issuers that many use, from documents of the shapes they publish, on a real server."""

import pytest
from verifier.served import Reply, Rerouted, served
from verifier.shapes import (
    OTHER_TENANT,
    TENANT,
    all_documents,
    auth0,
    github_actions,
    google,
    keycloak,
    microsoft,
    rsa_key,
    token_of,
)

from sojourn import ConfigurationError, Incoming, InvalidToken, Issuer, Need, Verifier

OWNER = {"repository_owner": "example"}
RECORDED = {
    "google": google(),
    "auth0": auth0(),
    "github_actions": github_actions(),
    "microsoft": microsoft(),
    "keycloak": keycloak(),
}


def issuers(audience="billing"):
    return {
        "google": Issuer.google(audience=audience),
        "auth0": Issuer.auth0("example.eu.auth0.com", audience=audience),
        "github_actions": Issuer.github_actions(audience=audience, claims=OWNER),
        "microsoft": Issuer.microsoft(tenants={TENANT}, audience=audience),
        "keycloak": Issuer.keycloak("https://id.example.com/", realm="shop", audience=audience),
    }


@pytest.fixture(scope="module")
def world():
    """Give one server that stands for all the hosts."""
    documents = all_documents(*RECORDED.values())
    with served({path: Reply(body) for path, body in documents.items()}) as server:
        yield server


@pytest.fixture(scope="module")
def verifier(world):
    with Verifier(issuers=issuers().values(), fetcher=Rerouted(world.url)) as one:
        yield one


@pytest.mark.parametrize("name", RECORDED)
def test_a_token_of_each_provider_verifies(name, verifier):
    """Whatever it calls things, the answer is one typed principal."""
    recorded = RECORDED[name]
    principal = verifier.verify(recorded.token())
    assert (recorded.claims["sub"], recorded.issuer) == (principal.subject, principal.issuer)
    assert ("jwt", "bearer", 0) == (principal.mode, principal.transport, principal.position)
    assert not {"iss", "sub", "aud", "exp", "iat"} & principal.claims.keys()


def test_what_each_calls_things(verifier):
    """Roles, scopes, the client and the rest are found where each provider puts them."""

    def seen(name):
        return verifier.verify(RECORDED[name].token())

    assert ("example.com", True) == tuple(
        seen("google").claims[name] for name in ("hd", "email_verified")
    )
    assert {"openid", "profile", "read:notes", "write:notes"} == seen("auth0").scopes
    assert ("my_client_id", frozenset()) == (seen("auth0").client_id, seen("auth0").roles)
    assert "example/notes" == seen("github_actions").claims["repository"]
    microsofts = seen("microsoft")
    assert ({"Notes.Write.All"}, {"notes.read", "notes.write"}) == (
        microsofts.roles,
        microsofts.scopes,
    )
    keycloaks = seen("keycloak")
    assert {"offline_access", "staff", "approver"} == keycloaks.roles
    assert ("web", RECORDED["keycloak"].claims["sid"]) == (keycloaks.client_id, keycloaks.sid)
    assert RECORDED["keycloak"].claims["auth_time"] == keycloaks.auth_time


@pytest.mark.parametrize("claimed", RECORDED)
@pytest.mark.parametrize("signer", RECORDED)
def test_no_token_passes_as_anothers(signer, claimed, verifier):
    """What one issuer signs and says to be of another is refused, in every pair."""
    if signer == claimed:
        return
    forged = RECORDED[signer].token(
        iss=RECORDED[claimed].issuer, **{"tid": TENANT, "typ": "Bearer", **OWNER}
    )
    refusal = verifier.check(Incoming(authorization=f"Bearer {forged}")).refusal
    assert ("invalid_token", "unknown_kid") == (refusal.code, refusal.reason)
    # With the other's kid as well, it is the signature that tells.
    named = token_of(
        RECORDED[signer].key,
        {"iss": RECORDED[claimed].issuer, "sub": "x", "aud": "billing", "exp": 2**33},
        kid=RECORDED[claimed].key.kid,
    )
    assert "bad_signature" == refused(verifier, named)


def refused(verifier, token, **need):
    """Give the reason for which a token is refused."""
    with pytest.raises(InvalidToken) as raised:
        verifier.verify(token, need=Need(**need))
    return raised.value.reason


@pytest.mark.parametrize("name", RECORDED)
def test_no_token_passes_for_another_audience(name, verifier):
    """The audience is compared exactly, or as an exact member."""
    recorded = RECORDED[name]
    for other in ("shipping", "billing2", "", ["shipping"]):
        assert refused(verifier, recorded.token(audience=other)) in {
            "wrong_audience",
            "invalid_aud",
        }
    assert "missing_aud" == refused(verifier, recorded.token(leave_out=["aud"]))
    assert verifier.verify(recorded.token(audience=["shipping", "billing"]))


def test_an_audience_per_issuer(world):
    """Each issuer has its own audiences, several if need be."""
    one = Issuer.google(audience={"web", "ios"})
    two = Issuer.auth0("example.eu.auth0.com", audience="https://api.example.com")
    verifier = Verifier(issuers=[one, two], fetcher=Rerouted(world.url))
    for audience in ("web", "ios"):
        assert verifier.verify(RECORDED["google"].token(audience=audience))
        assert "wrong_audience" == refused(verifier, RECORDED["auth0"].token(audience=audience))
    assert verifier.verify(RECORDED["auth0"].token(audience="https://api.example.com"))


def test_both_spellings_of_google(verifier):
    """Older tokens spell the issuer without its scheme; it is the same issuer."""
    principal = verifier.verify(RECORDED["google"].token(iss="accounts.google.com"))
    assert "https://accounts.google.com" == principal.issuer
    for near in ("http://accounts.google.com", "https://accounts.google.com/", "google.com"):
        assert "unknown_issuer" == refused(verifier, RECORDED["google"].token(iss=near))


def test_microsofts_tenants(world, verifier):
    """Only tenants that were named are accepted, and `tid` and `iss` have to agree."""
    assert "unknown_issuer" == refused(verifier, microsoft(OTHER_TENANT).token())
    assert "wrong_tid" == refused(verifier, RECORDED["microsoft"].token(tid=OTHER_TENANT))
    template = "https://login.microsoftonline.com/{tenantid}/v2.0"
    assert "unknown_issuer" == refused(verifier, RECORDED["microsoft"].token(iss=template))
    both = Issuer.microsoft(tenants={TENANT, OTHER_TENANT}, audience="billing")
    of_two = Verifier(issuers=[both], fetcher=Rerouted(world.url))
    assert of_two.verify(microsoft(OTHER_TENANT).token()).issuer.endswith(f"{OTHER_TENANT}/v2.0")


def test_microsofts_keys_of_one_tenant(world):
    """A key that is published for one tenant signs for no other."""
    both = Issuer.microsoft(tenants={TENANT, OTHER_TENANT}, audience="billing")
    verifier = Verifier(issuers=[both], fetcher=Rerouted(world.url))
    key = rsa_key("consumers-only-key-000000000")

    def token(tenant):
        issuer = f"https://login.microsoftonline.com/{tenant}/v2.0"
        said = {"iss": issuer, "sub": "x", "aud": "billing", "exp": 2**33, "tid": tenant}
        return token_of(key, said)

    assert verifier.verify(token(OTHER_TENANT)).subject == "x"
    assert "unknown_kid" == refused(verifier, token(TENANT))


def test_id_tokens_of_keycloak_are_no_access_tokens(verifier):
    """The header says `JWT` for both; the claim `typ` tells them apart."""
    for typ in ("ID", "Refresh", None, ["Bearer"]):
        assert "claim_not_accepted" == refused(verifier, RECORDED["keycloak"].token(typ=typ))


def test_workflows_of_others(verifier):
    """Anybody's workflow gets a token for any audience, so whose is pinned, and has to be."""
    token = RECORDED["github_actions"].token(repository_owner="somebody-else")
    assert "claim_not_accepted" == refused(verifier, token)
    with pytest.raises(ConfigurationError, match="whose"):
        Issuer.github_actions(audience="billing", claims={"ref": "refs/heads/main"})


def test_one_organisation_at_google(world):
    """What else is demanded, as `hd`, is compared exactly."""
    issuer = Issuer.google(audience="billing", claims={"hd": {"example.com", "example.org"}})
    verifier = Verifier(issuers=[issuer], fetcher=Rerouted(world.url))
    assert verifier.verify(RECORDED["google"].token())
    assert "claim_not_accepted" == refused(verifier, RECORDED["google"].token(hd="evil.example"))
    assert "claim_not_accepted" == refused(verifier, RECORDED["google"].token(leave_out=["hd"]))


@pytest.mark.parametrize("typ", ["at+jwt", "logout+jwt", "dpop+jwt"])
def test_typ_is_pinned(typ, verifier):
    """A token of another type of the same issuer, key and audience is none."""
    recorded = RECORDED["auth0"]
    said = {"iss": recorded.issuer, "sub": "x", "aud": "billing", "exp": 2**33}
    assert "wrong_typ" == refused(verifier, token_of(recorded.key, said, typ=typ))


def test_needs_are_judged_whatever_the_issuer(verifier):
    """Scopes and roles are required the same way; a sign-in time that is not said is long ago."""
    from sojourn import Forbidden, FreshLoginRequired, InsufficientScope

    token = RECORDED["auth0"].token()
    assert verifier.verify(token, need=Need(scopes=frozenset({"write:notes"})))
    with pytest.raises(InsufficientScope):
        verifier.verify(token, need=Need(scopes=frozenset({"delete:notes"})))
    with pytest.raises(Forbidden):
        verifier.verify(token, need=Need(roles=frozenset({"editor"})))
    with pytest.raises(FreshLoginRequired):
        verifier.verify(token, need=Need(max_age_seconds=3600))
    assert verifier.verify(RECORDED["keycloak"].token(), need=Need(max_age_seconds=3600))


def test_any_other_provider(world):
    """`oidc` describes what is not in the table: nested roles, no typ, its own places."""
    recorded = RECORDED["auth0"]
    issuer = Issuer.oidc(
        recorded.issuer,
        audience="billing",
        typ="JWT",
        algorithms={"RS256"},
        roles_from=["https://example.com/roles", ("missing", "path")],
    )
    verifier = Verifier(issuers=[issuer], fetcher=Rerouted(world.url))
    assert {"editor"} == verifier.verify(recorded.token()).roles
    untyped = Issuer.oidc(recorded.issuer, audience="billing", typ=None, algorithms={"RS256"})
    verifier = Verifier(issuers=[untyped], fetcher=Rerouted(world.url))
    said = {"iss": recorded.issuer, "sub": "x", "aud": "billing", "exp": 2**33}
    assert verifier.verify(token_of(recorded.key, said, typ=None))
    assert "wrong_typ" == refused(verifier, recorded.token())
