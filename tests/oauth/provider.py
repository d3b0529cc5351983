"""A small OpenID provider on loopback: whoever comes is the one account it knows (OIDC Core 3.1)."""

import base64
import secrets
import time
from urllib.parse import urlencode

from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.responses import JSONResponse, RedirectResponse
from starlette.routing import Route

CLIENT_ID, CLIENT_SECRET = "notes", "secret-of-the-client"
SUBJECT = "1089-ann"


def provider(issuer: str) -> Starlette:
    """Make the provider's application."""
    key = RSAKey.generate_key(2048, {"kid": "provider-1", "use": "sig", "alg": "RS256"})
    codes: dict[str, dict[str, str]] = {}

    async def configuration(request):
        return JSONResponse(
            {
                "issuer": issuer,
                "authorization_endpoint": f"{issuer}/authorize",
                "token_endpoint": f"{issuer}/token",
                "jwks_uri": f"{issuer}/jwks",
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
            }
        )

    async def authorize(request):
        asked = dict(request.query_params)
        assert asked["client_id"] == CLIENT_ID
        code = secrets.token_urlsafe(16)
        codes[code] = asked
        answer = urlencode({"code": code, "state": asked["state"]})
        return RedirectResponse(f"{asked['redirect_uri']}?{answer}", status_code=302)

    async def token(request):
        form = await request.form()
        basic = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        assert request.headers["authorization"] == f"Basic {basic}"
        asked = codes.pop(form["code"])  # once
        assert asked["redirect_uri"] == form["redirect_uri"]
        now = int(time.time())
        claims = {
            "iss": issuer,
            "sub": SUBJECT,
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
            "email": "ann@example.com",
        }
        id_token = jwt.encode({"alg": "RS256", "kid": "provider-1"}, claims, key)
        return JSONResponse(
            {
                "access_token": "of-the-provider",
                "token_type": "Bearer",
                "expires_in": 300,
                "id_token": id_token,
            }
        )

    async def jwks(request):
        return JSONResponse({"keys": [key.as_dict(private=False)]})

    return Starlette(
        routes=[
            Route("/.well-known/openid-configuration", configuration),
            Route("/authorize", authorize),
            Route("/token", token, methods=["POST"]),
            Route("/jwks", jwks),
        ]
    )
