"""Sessions in Django's admin: who is signed in where, and ending it.

Not a list of rows to delete: what is ended goes through Sojourn, which tells every process and
writes the audit trail. With ``django://`` the newest sessions are listed; with any store, those of a
user who is searched for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path

from sojourn.django.conf import get_auth, stored_in
from sojourn.django.models import Session
from sojourn.django.state import incoming_of
from sojourn.django.users import subject_of
from sojourn.engine.answers import SessionInfo
from sojourn.engine.revoke import shown
from sojourn.errors import InvalidInput
from sojourn.model import ANY

if TYPE_CHECKING:
    _Admin = admin.ModelAdmin[Session]
else:
    _Admin = admin.ModelAdmin

MOST = 200
"""How many sessions, and how many users of a search, are listed."""


@dataclass(frozen=True, slots=True)
class Row:
    """A session as it is listed."""

    info: SessionInfo
    user: str
    created_at: datetime
    seen_at: datetime


@admin.register(Session)
class SessionAdmin(_Admin):
    """Lists sessions to who may view them, and has them ended by who may delete them."""

    def get_urls(self) -> list[Any]:
        """Have the list alone."""
        view = self.admin_site.admin_view(self.changelist_view)
        return [path("", view, name="sojourn_session_changelist")]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody: a sign-in makes sessions."""
        del request
        return False

    def has_change_permission(self, request: HttpRequest, obj: Session | None = None) -> bool:
        """Nobody."""
        del request, obj
        return False

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """List, or end what was chosen."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method == "POST":
            return self._end(request)
        query = request.GET.get("q", "").strip()
        infos = _of_users(query) if query else _newest()
        context = {
            **self.admin_site.each_context(request),
            **(extra_context or {}),
            "title": "Sessions",
            "opts": self.opts,
            "query": query,
            "lists_all": stored_in() is not None,
            "may_end": self.has_delete_permission(request),
            "rows": _rows(infos),
            "most": MOST,
        }
        return TemplateResponse(request, "admin/sojourn/sessions.html", context)

    def _end(self, request: HttpRequest) -> HttpResponse:
        if not self.has_delete_permission(request):
            raise PermissionDenied
        count = 0
        for sid in request.POST.getlist("sid"):
            try:
                count += get_auth().revoke(
                    sid, subject=ANY, by=_by(request), incoming=incoming_of(request)
                )
            except InvalidInput as error:
                raise PermissionDenied from error
        messages.success(request, f"Ended: {count}.")
        return HttpResponseRedirect(request.get_full_path())


def _by(request: HttpRequest) -> str:
    user: Any = request.user
    return subject_of(user)


def _newest() -> list[SessionInfo]:
    alias = stored_in()
    if alias is None:
        return []
    now_ms = get_auth().core.clock()
    living = Session.objects.using(alias).filter(dies_at_ms__gt=now_ms).exclude(subject="")
    return [shown(row.record) for row in living[:MOST]]


def _of_users(query: str) -> list[SessionInfo]:
    users: Any = get_user_model()
    found = users._default_manager.filter(  # noqa: SLF001 - Django's way to name it
        **{f"{users.USERNAME_FIELD}__icontains": query}
    )
    subjects = {subject_of(user) for user in found.order_by(users.USERNAME_FIELD)[:MOST]}
    infos = [info for subject in {*subjects, query} for info in get_auth().sessions(subject)]
    return sorted(infos, key=lambda info: info.created_at, reverse=True)


def _rows(infos: Iterable[SessionInfo]) -> list[Row]:
    listed = list(infos)
    names = _names({info.subject for info in listed})
    return [
        Row(
            info,
            names.get(info.subject, info.subject),
            datetime.fromtimestamp(info.created_at, UTC),
            datetime.fromtimestamp(info.seen_at, UTC),
        )
        for info in listed
    ]


def _names(subjects: set[str]) -> dict[str, str]:
    users: Any = get_user_model()
    keys = []
    for subject in subjects:
        try:
            keys.append(users._meta.pk.to_python(subject))  # noqa: SLF001 - Django's way to name it
        except ValidationError:
            continue  # of a user that this model cannot have
    found = users._default_manager.in_bulk(keys)  # noqa: SLF001 - see above
    return {subject_of(user): user.get_username() for user in found.values()}
