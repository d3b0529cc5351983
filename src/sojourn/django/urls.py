"""Paths of the JSON endpoints: ``path("auth/", include("sojourn.django.urls"))``."""

from django.urls import path

from sojourn.django import api

app_name = "sojourn"
urlpatterns = [
    path("login", api.login, name="login"),
    path("session", api.session, name="session"),
    path("refresh", api.refresh, name="refresh"),
    path("access-token", api.access_token, name="access-token"),
    path("confirm", api.confirm, name="confirm"),
    path("logout", api.logout, name="logout"),
    path("logout-others", api.logout_others, name="logout-others"),
    path("logout-all", api.logout_all, name="logout-all"),
    path("sessions", api.sessions, name="sessions"),
    path("sessions/<str:sid>", api.end_session, name="end-session"),
    path("password", api.password, name="password"),
    path("jwks.json", api.jwks, name="jwks"),
]
