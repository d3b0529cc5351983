"""The user objects of a request: the application's own, or what stands for them."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

from sojourn.errors import InvalidInput
from sojourn.model import Principal, Subject


class UserMixin:
    """What a user class of an application needs, where it has an `id`."""

    @property
    def is_active(self) -> bool:
        """Whether the account may sign in."""
        return True

    @property
    def is_authenticated(self) -> bool:
        """Whether this is somebody."""
        return self.is_active

    @property
    def is_anonymous(self) -> bool:
        """Whether this is nobody."""
        return False

    def get_id(self) -> str:
        """The subject of this user's sessions.

        Raises:
            InvalidInput: The user has no id yet, as before the database gave one.
        """
        identifier = getattr(self, "id", None)
        if identifier is None:
            raise InvalidInput(f"this {type(self).__name__} has no id; save the user first")
        return str(identifier)


class AnonymousUser:
    """`current_user` of a request that nobody has signed."""

    is_authenticated = False
    is_active = False
    is_anonymous = True
    principal = None

    def get_id(self) -> None:
        """Nobody has no subject."""
        return


class SignedInUser(UserMixin):
    """`current_user` of an application without a `user_loader`.

    Args:
        principal: Who it is.
    """

    def __init__(self, principal: Principal[Any]) -> None:
        """Wrap the principal."""
        self.principal = principal

    def get_id(self) -> str:
        """The subject."""
        return self.principal.subject


def is_authenticated(user: Any) -> bool:
    """Tell whether a user object is somebody; one that does not say is."""
    return bool(getattr(user, "is_authenticated", True))


def subject_of(user: Any) -> Subject:
    """Give the subject of a user object: by its `get_id`, its `id`, or the identifier itself.

    Raises:
        InvalidInput: It has none of them.
    """
    if isinstance(user, str | int | UUID):
        return user
    subject = user.get_id() if hasattr(user, "get_id") else getattr(user, "id", None)
    if subject is None:
        raise InvalidInput(
            f"a {type(user).__name__} has neither get_id() nor id; give the user, or its identifier"
        )
    return cast("Subject", subject)
