"""One request in an adapter: what came in, who it is, and what is handed out with the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sojourn.engine.answers import Checked
from sojourn.errors import SojournError, Unauthenticated
from sojourn.messages import Incoming, Outgoing
from sojourn.model import Principal
from sojourn.need import ANYONE_SIGNED_IN, Need

if TYPE_CHECKING:
    from sojourn.browser import Browser
    from sojourn.engine.data import SessionData

NOBODY: Checked[Any] = Checked(refusal=Unauthenticated("sign in first"))


class RequestState:
    """What an adapter keeps of one request.

    Args:
        incoming: The request, reduced.
    """

    __slots__ = ("checked", "data", "error", "incoming", "outgoing")

    def __init__(self, incoming: Incoming) -> None:
        """Know nobody yet."""
        self.incoming = incoming
        self.checked: Checked[Any] = NOBODY
        self.error: SojournError | None = None
        """Why nothing could be said; a public page works all the same, `require` raises it."""
        self.outgoing = Outgoing()
        self.data: SessionData | None = None

    @property
    def principal(self) -> Principal[Any] | None:
        """Who the request is, as far as known."""
        return self.checked.principal

    @property
    def is_personal(self) -> bool:
        """Whether a cookie says who the request is, so that the response is for them alone."""
        principal = self.checked.principal
        return principal is not None and principal.transport == "cookie"

    def take(self, checked: Checked[Any], browser: Browser | None) -> None:
        """Take in what the check at the request's beginning said.

        Args:
            checked: The answer.
            browser: The browser rules; None for a verifier, which hands nothing out.
        """
        self.checked, self.outgoing = checked, checked.outgoing
        if checked.renewed is not None and browser is not None:
            self.incoming = browser.after(self.incoming, self.outgoing)

    def require(self, need: Need = ANYONE_SIGNED_IN) -> Principal[Any]:
        """Give the principal where it meets a need.

        Raises:
            Refused: Why it does not, or why there is none.
            SojournError: Why that cannot be known at this moment.
        """
        if self.error is not None:
            raise self.error
        return self.checked.require(need)
