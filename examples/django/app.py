"""The notes application in Django; `examples/django/run` serves it. One file, so that it reads in one go."""

import os
from datetime import timedelta
from typing import Any

import django
from django.conf import settings
from django.contrib.auth import authenticate, get_user_model
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.urls import path
from django.views.decorators.http import require_GET, require_POST
from django.views.static import serve

import notes
import sojourn.django as auth
from notes.account import about, answer_to, device_list
from sojourn import InvalidCredentials, NotFound, SojournError

settings.configure(
    ROOT_URLCONF=__name__,
    SECRET_KEY=os.environ.get("SECRET_KEY", "of this example alone; yours comes from outside"),
    ALLOWED_HOSTS=["127.0.0.1"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": notes.DATABASE}},
    MIDDLEWARE=["sojourn.django.SojournMiddleware", f"{__name__}.Refusals"],
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "sojourn.django"],
    SOJOURN={"URL": notes.URL},
    PASSWORD_HASHERS=["django.contrib.auth.hashers.Argon2PasswordHasher"],
)
django.setup()
call_command("migrate", verbosity=0)
NOTES = notes.Notes(notes.DATABASE)


def owner_of(request: HttpRequest) -> str:
    return request.user.get_username()


def values_of(request: HttpRequest) -> notes.Values:
    return notes.read_values(request.body, request.content_type)


def show(request: HttpRequest, template: str, **values: Any) -> HttpResponse:
    """Show a page in a browser, the values alone to other clients."""
    if not notes.wants_page(request.headers.get("Accept")):
        return JsonResponse(values, headers=notes.HEADERS)
    values |= {"who": request.principal, "name": request.user.get_username()}
    html = notes.page(template, query=request.GET, **values)
    return HttpResponse(html, headers=notes.HEADERS)


def done(request: HttpRequest, values: Any, *, go_to: str = "/") -> HttpResponse:
    """Lead a browser on, answer other clients with what came of it."""
    if notes.wants_page(request.headers.get("Accept")):
        return HttpResponseRedirect(go_to, status=303)
    return JsonResponse(values)


# --- the notes ----------------------------------------------------------------------------------


@require_GET
@auth.requires
def home(request: HttpRequest) -> HttpResponse:
    return show(request, "notes", notes=NOTES.of(owner_of(request)))


@require_POST
@auth.requires
def add(request: HttpRequest) -> HttpResponse:
    return done(request, NOTES.add(owner_of(request), values_of(request).text("text")))


@require_POST
@auth.requires
def delete(request: HttpRequest, note: str) -> HttpResponse:
    if not NOTES.delete(owner_of(request), note):
        raise Http404
    return done(request, {})


@require_POST
@auth.requires(max_age=timedelta(minutes=5), max_lag=timedelta(0))
def clear(request: HttpRequest) -> HttpResponse:
    return done(request, {"deleted": NOTES.clear(owner_of(request))})


# --- signing in and out: the application's own views --------------------------------------------

User = get_user_model()


def login(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        return show(request, "login")
    values = values_of(request)
    user = prove(request, values.text("name"), values.text("password"))
    signed_in = auth.login(
        request,
        user,
        roles={"admin"} if user.is_superuser else set(),
        amr=["pwd"],
        transport=values.one_of("transport", "cookie", "bearer"),
    )
    return done(request, signed_in.public(), go_to=notes.safe_next(request.GET.get("next")))


def prove(request: HttpRequest, name: str, password: str) -> Any:
    user = authenticate(request, username=name, password=password)
    if user is None:
        raise InvalidCredentials("the name and the password do not belong together")
    return user


@require_POST
def refresh(request: HttpRequest) -> HttpResponse:
    token = values_of(request).get("refresh_token")
    return JsonResponse(auth.refresh(request, refresh_token=token).public())


@require_POST
def logout(request: HttpRequest) -> HttpResponse:
    auth.logout(request)
    return done(request, {}, go_to="/login")


@require_GET
@auth.requires
def me(request: HttpRequest) -> HttpResponse:
    return JsonResponse(about(request.principal) | {"name": owner_of(request)})


@require_GET
@auth.requires
def devices(request: HttpRequest) -> HttpResponse:
    sessions = auth.get_auth().sessions(request.principal.subject)
    return show(request, "devices", devices=device_list(sessions, request.principal))


@require_POST
@auth.requires
def end_others(request: HttpRequest) -> HttpResponse:
    auth.logout_others(request)
    return done(request, {}, go_to="/devices")


@require_POST
@auth.requires
def end_device(request: HttpRequest, sid: str) -> HttpResponse:
    subject = request.principal.subject
    if sid not in {session.sid for session in auth.get_auth().sessions(subject)}:
        raise NotFound("you have no such session")
    auth.get_auth().revoke(sid, subject=subject, by=subject, incoming=auth.incoming_of(request))
    return done(request, {}, go_to="/devices")


@auth.requires
def confirm(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        return show(request, "confirm")
    attempt = auth.begin(request.user)  # before the password is checked, which takes a while
    prove(request, owner_of(request), values_of(request).text("password"))
    signed_in = auth.reauthenticate(request, amr=["pwd"], attempt=attempt)
    return done(request, signed_in.public(), go_to=notes.safe_next(request.GET.get("next")))


@auth.requires
def change_password(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        return show(request, "password")
    values = values_of(request)
    user = prove(request, owner_of(request), values.text("current"))
    user.set_password(notes.good_password(values.text("new")))
    user.save()  # which ends the other sign-ins
    return done(request, auth.reauthenticate(request, amr=["pwd"]).public())


@require_GET
@auth.requires(roles={"admin"})
def admin(request: HttpRequest) -> HttpResponse:
    counts = NOTES.counts()
    names = User.objects.order_by("username").values_list("username", flat=True)
    people = [{"name": name, "notes": counts.get(name, 0)} for name in names]
    return show(request, "admin", people=people)


@require_POST
@auth.requires(roles={"admin"}, max_lag=timedelta(0))
def sign_out(request: HttpRequest, name: str) -> HttpResponse:
    user = User.objects.filter(username=name).first()
    if user is None:
        raise Http404
    by, incoming = request.principal.subject, auth.incoming_of(request)
    auth.get_auth().revoke_all(auth.subject_of(user), by=by, incoming=incoming)
    return done(request, {}, go_to="/admin")


class Refusals:
    """Shows what was refused, as a page where a browser asks."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, SojournError | notes.BadInput):
            return None
        answer = answer_to(
            error,
            method=request.method or "",
            target=request.get_full_path(),
            accept=request.headers.get("Accept"),
            who=request.principal,
        )
        return HttpResponse(answer.body, status=answer.status, headers=answer.headers)


SIGNING_IN = [
    path("login", login),
    path("refresh", refresh),
    path("logout", logout),
    path("me", me),
    path("devices", devices),
    path("devices/end-others", end_others),
    path("devices/<str:sid>/end", end_device),
    path("confirm", confirm),
    path("password", change_password),
    path("admin", admin),
    path("admin/<str:name>/sign-out", sign_out),
]


for name, password, roles in notes.FIRST:  # the people of the example
    if not User.objects.filter(username=name).exists():
        User.objects.create_user(name, password=password, is_superuser="admin" in roles)

# --- the application ----------------------------------------------------------------------------

urlpatterns = [
    path("", home),
    path("notes", add),
    path("notes/clear", clear),
    path("notes/<str:note>/delete", delete),
    path("static/<path:path>", serve, {"document_root": notes.STATIC}),
    *SIGNING_IN,
]
app = get_wsgi_application()
