"""The project's views, as an application writes them."""

import json
import secrets
from datetime import timedelta

from asgiref.sync import sync_to_async
from django.contrib import messages
from django.contrib.auth import authenticate, get_user_model
from django.contrib.auth.decorators import login_required
from django.db.transaction import non_atomic_requests
from django.http import HttpResponse, JsonResponse
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import cache_page
from django.views.decorators.csrf import csrf_exempt

from sojourn import django as sojourn


def me(request):
    """Say who it is, by Django's user and by the principal."""
    principal = request.principal
    return JsonResponse(
        {
            "user": request.user.get_username() or None,
            "subject": principal and principal.subject,
            "roles": sorted(principal.roles) if principal else [],
            "transport": principal and principal.transport,
        }
    )


async def asynchronous_me(request):
    """Say who it is, in an asynchronous view."""
    user = await request.auser()
    return JsonResponse({"user": user.get_username() or None})


@login_required
def private(request):
    """Lead to the sign-in, in Django's own way."""
    return HttpResponse(request.user.get_username())


@sojourn.requires(roles={"editors"}, max_age=timedelta(minutes=5))
def editors(request):
    """Ask for a role and a recent sign-in."""
    return HttpResponse(request.user.get_username())


@sojourn.requires(scopes={"notes"}, max_lag=timedelta(0), accept={"bearer"})
async def notes(request):
    """Ask for a scope, and the store."""
    return HttpResponse(request.principal.subject)


@method_decorator(sojourn.requires, name="dispatch")
class Guarded(View):
    """A guarded class."""

    def get(self, request):
        return HttpResponse(sojourn.current(request).subject)


def basket(request):
    """Keep something in Django's session, a visitor's too."""
    if request.method == "POST":
        request.session["basket"] = [*request.session.get("basket", []), request.POST["item"]]
        messages.info(request, "taken")
    told = [str(message) for message in messages.get_messages(request)]
    return JsonResponse({"basket": request.session.get("basket", []), "messages": told})


def data(request):
    """Keep something in Sojourn's own data."""
    values = sojourn.data(request)
    if request.method == "POST":
        values["note"] = request.POST["note"]
    if "tooLarge" in request.GET:
        values["large"] = "x" * 40_000
    return JsonResponse(dict(values))


@csrf_exempt
def sign_in(request):
    """Sign in by password to whatever the form says."""
    user = authenticate(
        request, username=request.POST["username"], password=request.POST["password"]
    )
    if user is None:
        return HttpResponse(status=401)
    options = {name: request.POST[name] for name in ("mode", "transport") if name in request.POST}
    signed_in = sojourn.login(request, user, amr=["pwd"], **options)
    if "fail" in request.GET:
        raise RuntimeError("a mistake of the application")
    return JsonResponse(signed_in.public())


@csrf_exempt
@non_atomic_requests
def sign_in_non_atomic(request):
    """Sign in outside of a transaction."""
    return sign_in(request)


@csrf_exempt
def sign_in_inactive(request):
    """Sign in whom no backend would give."""
    user = get_user_model().objects.get(username=request.POST["username"])
    return JsonResponse(sojourn.login(request, user).public())


@csrf_exempt
def verb(request, name):
    """Call a verb of the adapter."""
    options = {"move": {"mode": "session"}, "reauthenticate": {"amr": ["otp"]}}.get(name, {})
    answer = getattr(sojourn, name)(request, **options)
    return JsonResponse(answer.public() if answer else {"user": request.user.get_username()})


@csrf_exempt
async def asynchronous_sign_in(request):
    """Sign in from an asynchronous view."""
    user = await get_user_model().objects.aget(username="ann")
    signed_in = await sync_to_async(sojourn.login)(request, user)
    return JsonResponse(signed_in.public())


def by_backend(request):
    """Ask the authentication backends who it is."""
    user = authenticate(request)
    return JsonResponse({"user": user and user.get_username()})


def fail(request):
    """Fail after something was handed out."""
    raise RuntimeError("a mistake of the application")


def expire(request):
    """Change when Django's session ends."""
    value = request.GET["value"]
    request.session.set_expiry(None if value == "none" else int(value))
    return HttpResponse()


def end_own(request):
    """End the session that is being used, as another request might."""
    request.session["late"] = 1
    sojourn.get_auth().revoke_all(request.principal.subject)
    return HttpResponse()


def empty(request):
    """Empty Django's session without asking whose it is, and go on as a visitor."""
    request.session.clear()
    request.session["left"] = 1
    return HttpResponse()


def plain(request):
    """Ask nothing of anybody; each making is another."""
    return HttpResponse(secrets.token_hex())


@sojourn.requires
def says_itself(request):
    """Say how long it may be kept."""
    return HttpResponse(request.principal.subject, headers={"Cache-Control": "max-age=60"})


@cache_page(60)
@sojourn.requires
def cached(request):
    """Have the view alone cached, around its guard."""
    return HttpResponse(request.principal.subject)


@sojourn.requires
async def asynchronous_guarded(request):
    """Ask for somebody, and load their user."""
    user = await request.auser()
    return HttpResponse(f"{sojourn.current(request).subject} {user.get_username()}")


@csrf_exempt
def refresh_bearer(request):
    """Refresh in a view of one's own."""
    token = json.loads(request.body)["refresh_token"]
    return JsonResponse(sojourn.refresh(request, refresh_token=token).public())


def new_key(request):
    """Give Django's session another key, and fail."""
    request.session.cycle_key()
    raise RuntimeError("a mistake of the application")
