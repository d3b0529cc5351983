"""The shapes that real issuers publish, recorded from their public documents, with keys of these tests.

The members are theirs, names and order included; modulus, thumbprints and certificates are not.
"""

from __future__ import annotations

import base64
import functools
import json
import time
from dataclasses import dataclass, field

from sojourn.jose import SigningKey, base64url, jws

TENANT = "11111111-2222-3333-4444-555555555555"
OTHER_TENANT = "99999999-8888-7777-6666-555555555555"
CERTIFICATE = base64.b64encode(b"0\x82\x03\x05 a certificate that nobody looks at " * 20).decode()


@functools.cache
def rsa_key(kid):
    """Make a key once; they are slow to make."""
    return SigningKey.generate("RS256", kid=kid)


def jwk_of(key, *, leave_out=(), **more):
    """Write a public key with more or fewer members."""
    members = key.verifying.to_jwk() | more
    return {name: value for name, value in members.items() if name not in leave_out}


def token_of(key, claims, *, typ="JWT", **header):
    """Sign claims, whatever they are."""
    if not header:
        return jws.sign(json.dumps(claims, separators=(",", ":")).encode(), key, typ=typ)
    said = {"alg": key.alg, "kid": key.kid, "typ": typ} | header
    data = b".".join(base64url.encode(json.dumps(part).encode()) for part in (said, claims))
    return (data + b"." + base64url.encode(key.sign(data))).decode()


@dataclass
class Recorded:
    """A provider: what it serves under which host and path, and a token of it.

    Args:
        issuer: The ``iss`` of its tokens.
        documents: By host and path.
        key: What it signs with.
        claims: What its tokens say, but for times and audience.
        header: More members of the header.
    """

    issuer: str
    documents: dict
    key: SigningKey
    claims: dict
    header: dict = field(default_factory=dict)

    def token(self, *, audience="billing", leave_out=(), **claims):
        """Issue a token."""
        now = int(time.time())
        said = {"iss": self.issuer, "aud": audience, "iat": now, "exp": now + 600}
        said |= self.claims | claims
        said = {name: value for name, value in said.items() if name not in leave_out}
        return token_of(self.key, said, **self.header)


def google():
    key = rsa_key("6a906ec119d7ba46a6a43ef1ea842e34a8ee08b4")
    old = rsa_key("bfc7a8c3a2f6a4f2c8a0b9e1d5e7f0a1b2c3d4e5")
    metadata = {
        "issuer": "https://accounts.google.com",
        "authorization_endpoint": "https://accounts.google.com/o/oauth2/v2/auth",
        "device_authorization_endpoint": "https://oauth2.googleapis.com/device/code",
        "token_endpoint": "https://oauth2.googleapis.com/token",
        "userinfo_endpoint": "https://openidconnect.googleapis.com/v1/userinfo",
        "revocation_endpoint": "https://oauth2.googleapis.com/revoke",
        "jwks_uri": "https://www.googleapis.com/oauth2/v3/certs",
        "response_types_supported": ["code", "token", "id_token", "none"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "scopes_supported": ["openid", "email", "profile"],
        "code_challenge_methods_supported": ["plain", "S256"],
    }
    order = ("kid", "use", "alg", "kty", "e", "n")
    keys = [{name: jwk_of(k)[name] for name in order} for k in (old, key)]
    return Recorded(
        "https://accounts.google.com",
        {
            "accounts.google.com/.well-known/openid-configuration": metadata,
            "www.googleapis.com/oauth2/v3/certs": {"keys": keys},
        },
        key,
        {
            "azp": "1234-web.apps.googleusercontent.com",
            "sub": "110169484474386276334",
            "hd": "example.com",
            "email": "ann@example.com",
            "email_verified": True,
            "at_hash": "HK6E_P6Dh8Y93mRNtsDB1Q",
        },
    )


def auth0():
    key = rsa_key("NjVBRjY5MDlCMUIwNzU4RTA2QzZFMDQ4QzQ2MDAyQjVDNjk1RTM2Qg")
    host = "example.eu.auth0.com"
    metadata = {
        "issuer": f"https://{host}/",
        "authorization_endpoint": f"https://{host}/authorize",
        "token_endpoint": f"https://{host}/oauth/token",
        "userinfo_endpoint": f"https://{host}/userinfo",
        "mfa_challenge_endpoint": f"https://{host}/mfa/challenge",
        "jwks_uri": f"https://{host}/.well-known/jwks.json",
        "scopes_supported": ["openid", "profile", "offline_access"],
        "id_token_signing_alg_values_supported": ["HS256", "RS256", "PS256"],
        "claims_supported": ["aud", "auth_time", "iss", "sub"],
        "request_uri_parameter_supported": False,
    }
    published = jwk_of(
        key, x5t="NjVBRjY5MDlCMUIwNzU4RTA2QzZFMDQ4QzQ2MDAyQjVDNjk1RTM2Qg", x5c=[CERTIFICATE]
    )
    return Recorded(
        f"https://{host}/",
        {
            f"{host}/.well-known/openid-configuration": metadata,
            f"{host}/.well-known/jwks.json": {"keys": [published]},
        },
        key,
        {
            "sub": "auth0|5f7c8ec7c33c6c004bbafe82",
            "azp": "my_client_id",
            "scope": "openid profile read:notes",
            "permissions": ["read:notes", "write:notes"],
            "https://example.com/roles": ["editor"],
        },
    )


def github_actions():
    key = rsa_key("cc413527-173f-5a05-976e-9c52b1d7b431")
    host = "token.actions.githubusercontent.com"
    metadata = {
        "issuer": f"https://{host}",
        "jwks_uri": f"https://{host}/.well-known/jwks",
        "subject_types_supported": ["public", "pairwise"],
        "response_types_supported": ["id_token"],
        "claims_supported": ["sub", "aud", "exp", "iat", "iss", "jti", "repository"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "scopes_supported": ["openid"],
    }
    order = ("kty", "alg", "use", "kid", "n", "e")
    thumbprints = {"x5c": [CERTIFICATE], "x5t": "eCfUtRzuVEo5wCwYnUSHZqYYqJM"}
    published = {name: jwk_of(key)[name] for name in order} | thumbprints
    return Recorded(
        f"https://{host}",
        {
            f"{host}/.well-known/openid-configuration": metadata,
            f"{host}/.well-known/jwks": {"keys": [published]},
        },
        key,
        {
            "jti": "example-id",
            "sub": "repo:example/notes:ref:refs/heads/main",
            "ref": "refs/heads/main",
            "repository": "example/notes",
            "repository_owner": "example",
            "run_id": "1234567890",
            "runner_environment": "github-hosted",
            "nbf": int(time.time()) - 300,
        },
        {"x5t": "eCfUtRzuVEo5wCwYnUSHZqYYqJM"},
    )


def microsoft(tenant=TENANT):
    key = rsa_key("nOo3ZDrODXEK1jKWhXslHR_KXEg")
    consumers = rsa_key("consumers-only-key-000000000")
    host = "login.microsoftonline.com"
    template = f"https://{host}/{{tenantid}}/v2.0"
    metadata = {
        "token_endpoint": f"https://{host}/common/oauth2/v2.0/token",
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
        "jwks_uri": f"https://{host}/common/discovery/v2.0/keys",
        "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "issuer": template,
        "request_uri_parameter_supported": False,
        "cloud_instance_name": "microsoftonline.com",
        "msgraph_host": "graph.microsoft.com",
    }

    def published(k, issuer):
        return jwk_of(k, leave_out=("alg",), x5t=k.kid, x5c=[CERTIFICATE], issuer=issuer)

    keys = [published(consumers, f"https://{host}/{OTHER_TENANT}/v2.0"), published(key, template)]
    return Recorded(
        f"https://{host}/{tenant}/v2.0",
        {
            f"{host}/common/v2.0/.well-known/openid-configuration": metadata,
            f"{host}/common/discovery/v2.0/keys": {"keys": keys},
        },
        key,
        {
            "aio": "ATQAy/8TAAAA",
            "azp": "00000000-1111-2222-3333-444444444444",
            "azpacr": "1",
            "oid": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
            "roles": ["Notes.Write.All"],
            "scp": "notes.read notes.write",
            "sub": "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ",
            "tid": tenant,
            "ver": "2.0",
        },
        {"x5t": key.kid},
    )


def keycloak():
    key = rsa_key("FJ86GcF3jTbNLOco4NvZkUCIUmfYCqoqtOQeMfbhNlE")
    for_encryption = rsa_key("rsa-oaep-key-of-the-realm")
    url = "https://id.example.com/realms/shop"
    base = f"{url}/protocol/openid-connect"
    metadata = {
        "issuer": url,
        "authorization_endpoint": f"{base}/auth",
        "token_endpoint": f"{base}/token",
        "introspection_endpoint": f"{base}/token/introspect",
        "end_session_endpoint": f"{base}/logout",
        "frontchannel_logout_supported": True,
        "jwks_uri": f"{base}/certs",
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "id_token_signing_alg_values_supported": ["PS384", "ES384", "RS384", "HS256", "RS256"],
        "mtls_endpoint_aliases": {"token_endpoint": f"{base}/token"},
    }
    more = {"x5c": [CERTIFICATE], "x5t": "m7h_2", "x5t#S256": "z5x_9"}
    keys = [
        jwk_of(for_encryption, leave_out=("alg", "use"), alg="RSA-OAEP", use="enc", **more),
        jwk_of(key, **more),
    ]
    keys[0] |= {"alg": "RSA-OAEP", "use": "enc"}
    return Recorded(
        url,
        {
            "id.example.com/realms/shop/.well-known/openid-configuration": metadata,
            "id.example.com/realms/shop/protocol/openid-connect/certs": {"keys": keys},
        },
        key,
        {
            "jti": "f1b7cf43-c05f-43f5-b1b4-b9a3f4f5a1ec",
            "sub": "b1c9b3e0-8f1c-4f1e-8d5e-0c6a9b3e7f21",
            "typ": "Bearer",
            "azp": "web",
            "sid": "3b6f7a0e-4a2c-4b8e-9a62-7c1f5d1f0c55",
            "acr": "1",
            "auth_time": int(time.time()) - 30,
            "realm_access": {"roles": ["offline_access", "staff"]},
            "resource_access": {
                "billing": {"roles": ["approver"]},
                "account": {"roles": ["manage-account"]},
            },
            "scope": "openid email profile",
            "email_verified": False,
            "preferred_username": "ann",
        },
    )


def all_documents(*recorded):
    """Put the documents of several providers together, by the path they are rerouted to."""
    return {
        f"/{place}": json.dumps(document).encode()
        for one in recorded
        for place, document in one.documents.items()
    }
