"""What the verifier fails with, beside the errors that all of Sojourn shares."""

from __future__ import annotations

from sojourn.errors import SojournError


class IssuerUnavailable(SojournError):
    """An issuer that has to be asked does not answer; retry later, nothing was decided."""

    code = "issuer_unavailable"
    status = 503
