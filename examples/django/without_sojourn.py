"""The notes application in Django before anybody signs in: one list of notes for everybody."""

# ruff: noqa: ARG001 - requests are not told apart here

import os
from typing import Any

import django
from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.urls import path
from django.views.decorators.http import require_GET, require_POST
from django.views.static import serve

import notes

settings.configure(
    ROOT_URLCONF=__name__,
    SECRET_KEY=os.environ.get("SECRET_KEY", "of this example alone; yours comes from outside"),
    ALLOWED_HOSTS=["127.0.0.1"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": notes.DATABASE}},
    MIDDLEWARE=[f"{__name__}.Refusals"],
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"],
    PASSWORD_HASHERS=["django.contrib.auth.hashers.Argon2PasswordHasher"],
)
django.setup()
call_command("migrate", verbosity=0)
NOTES = notes.Notes(notes.DATABASE)


def owner_of(request: HttpRequest) -> str:
    return "everybody"


def values_of(request: HttpRequest) -> notes.Values:
    return notes.read_values(request.body, request.content_type)


def show(request: HttpRequest, template: str, **values: Any) -> HttpResponse:
    """Show a page in a browser, the values alone to other clients."""
    if not notes.wants_page(request.headers.get("Accept")):
        return JsonResponse(values, headers=notes.HEADERS)
    html = notes.page(template, query=request.GET, **values)
    return HttpResponse(html, headers=notes.HEADERS)


def done(request: HttpRequest, values: Any, *, go_to: str = "/") -> HttpResponse:
    """Lead a browser on, answer other clients with what came of it."""
    if notes.wants_page(request.headers.get("Accept")):
        return HttpResponseRedirect(go_to, status=303)
    return JsonResponse(values)


# --- the notes ----------------------------------------------------------------------------------


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    return show(request, "notes", notes=NOTES.of(owner_of(request)))


@require_POST
def add(request: HttpRequest) -> HttpResponse:
    return done(request, NOTES.add(owner_of(request), values_of(request).text("text")))


@require_POST
def delete(request: HttpRequest, note: str) -> HttpResponse:
    if not NOTES.delete(owner_of(request), note):
        raise Http404
    return done(request, {})


@require_POST
def clear(request: HttpRequest) -> HttpResponse:
    return done(request, {"deleted": NOTES.clear(owner_of(request))})


class Refusals:
    """Tells whoever sent something that cannot be used."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, _: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, notes.BadInput):
            return None
        kind = "application/problem+json"
        return HttpResponse(error.document, status=error.status, content_type=kind)


# --- the application ----------------------------------------------------------------------------

urlpatterns = [
    path("", home),
    path("notes", add),
    path("notes/clear", clear),
    path("notes/<str:note>/delete", delete),
    path("static/<path:path>", serve, {"document_root": notes.STATIC}),
]
app = get_wsgi_application()
