"""Django's users and Sojourn's subjects: a subject is a user's primary key, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_backends, get_user_model
from django.core.exceptions import ValidationError

from sojourn.engine.facts import Facts
from sojourn.errors import InvalidToken

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser


def subject_of(user: AbstractBaseUser) -> str:
    """Give the subject of a user."""
    return str(user._meta.pk.value_to_string(user))  # noqa: SLF001 - Django's way to say it


def user_of(subject: str) -> Any:
    """Load a user through the first authentication backend that gives one; None where none does."""
    try:
        key = get_user_model()._meta.pk.to_python(subject)  # noqa: SLF001 - see above
    except ValidationError:
        return None
    for backend in get_backends():
        user: Any = backend.get_user(key)
        if user is not None:
            user.backend = f"{type(backend).__module__}.{type(backend).__qualname__}"
            return user
    return None


async def auser_of(subject: str) -> Any:
    """See `user_of`."""
    try:
        key = get_user_model()._meta.pk.to_python(subject)  # noqa: SLF001 - see above
    except ValidationError:
        return None
    for backend in get_backends():
        user: Any = await backend.aget_user(key)
        if user is not None:
            user.backend = f"{type(backend).__module__}.{type(backend).__qualname__}"
            return user
    return None


def unknown_user() -> InvalidToken:
    """Say of a sign-in that Django knows its user no more."""
    return InvalidToken("the account is not active", reason="no_user")


def groups_as_roles(subject: str) -> Facts | None:
    """Give a user's groups as roles, with ``staff`` and ``superuser``: ``"FACTS"`` may name this.

    White space in a group's name becomes a hyphen. A user whom no backend gives has no facts, and
    may not sign in.
    """
    user = user_of(subject)
    if user is None:
        return None
    names = {"-".join(name.split()) for name in user.groups.values_list("name", flat=True)}
    flags = {name for name in ("staff", "superuser") if getattr(user, f"is_{name}", False)}
    return Facts(roles=names | flags)


def named(text: str) -> str:
    """Give the subject of the user whom a command names, by the name they sign in with or by key.

    What names no user is taken for a subject: sessions can outlive a user's row.
    """
    users: Any = get_user_model()
    user = users._default_manager.filter(**{users.USERNAME_FIELD: text}).first()  # noqa: SLF001
    return text if user is None else subject_of(user)
