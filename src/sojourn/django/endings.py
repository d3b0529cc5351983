"""What happens to a user ends their sessions: another password, deactivation, removal."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_login_failed
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.db.models.signals import post_delete, post_save

from sojourn.django.conf import get_auth, is_verifying, stored_in
from sojourn.django.state import current_request, find_state, incoming_of
from sojourn.django.users import subject_of
from sojourn.messages import Incoming
from sojourn.model import Principal


def connect() -> None:
    """Listen to Django's signals, from the application's start, where there are users."""
    try:
        get_user_model()
    except ImproperlyConfigured:
        return
    post_save.connect(on_saved, dispatch_uid="sojourn")
    post_delete.connect(on_deleted, dispatch_uid="sojourn")
    user_login_failed.connect(on_login_failed, dispatch_uid="sojourn")


def on_saved(
    *, instance: Any, created: bool, raw: bool = False, using: str = "default", **_: Any
) -> None:
    """End the other sessions of whose password was set, and all of who is not active."""
    if created or raw or is_verifying() or not isinstance(instance, get_user_model()):
        return
    if not instance.is_active:
        _end_all(instance, reason="account_disabled", using=using)
    elif getattr(instance, "_password", None) is not None:  # set_password, not an upgraded hash
        _end_all(instance, reason="password_changed", using=using, keeps_current=True)


def on_deleted(*, instance: Any, using: str = "default", **_: Any) -> None:
    """End all sessions of a user who is gone."""
    if not is_verifying() and isinstance(instance, get_user_model()):
        _end_all(instance, reason="account_removed", using=using)


def on_login_failed(*, credentials: dict[str, Any], request: Any = None, **_: Any) -> None:
    """Put a failed sign-in on the audit trail."""
    if request is not None and not is_verifying():
        users: Any = get_user_model()
        name = str(credentials.get(users.USERNAME_FIELD, credentials.get("username", "")))
        get_auth().login_failed(incoming_of(request), name, reason="wrong_credentials")


def end_unknown(principal: Principal[Any], incoming: Incoming) -> None:
    """End the session of whom Django knows no more, where it was about to be renewed."""
    get_auth().revoke(
        principal.sid, subject=principal.subject, reason="account_disabled", incoming=incoming
    )


def _end_all(user: Any, *, reason: str, using: str, keeps_current: bool = False) -> None:
    subject = subject_of(user)
    request = current_request.get()
    state = find_state(request) if request is not None else None
    principal = state.principal if state is not None else None
    is_own = principal is not None and principal.subject == subject

    def end() -> None:
        get_auth().revoke_all(
            subject,
            keep=principal.sid if principal is not None and is_own and keeps_current else None,
            by=principal.subject if principal is not None else "",
            reason=reason,
            incoming=state.incoming if state is not None else None,
        )

    end()
    if transaction.get_connection(using).in_atomic_block and stored_in() != using:
        # Elsewhere whoever signs in with the old password until the commit goes, too.
        transaction.on_commit(end, using=using)
