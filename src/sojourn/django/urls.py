"""Paths of the JSON endpoints: ``path("auth/", include("sojourn.django.urls"))``.

Those that all adapters have, with signing in by password, confirming and changing it, which Django's
users make possible.
"""

from django.urls import path

from sojourn.adapting.endpoints import ENDPOINTS
from sojourn.django import api

app_name = "sojourn"
urlpatterns = [
    path("login", api.login, name="login"),
    path("confirm", api.confirm, name="confirm"),
    path("password", api.password, name="password"),
    path("jwks.json", api.jwks, name="jwks"),
    *(
        path(
            shared.path.lstrip("/").replace("{sid}", "<str:sid>"),
            api.view_of(shared),
            name=shared.act.__name__.replace("_", "-"),
        )
        for shared in ENDPOINTS
    ),
]
