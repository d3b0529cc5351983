"""What caches are told of a response that depends on who asked."""

from __future__ import annotations

from typing import Any, TypeVar

from django.http.response import HttpResponseBase
from django.utils.cache import patch_cache_control, patch_vary_headers

from sojourn.django.state import find_state

ResponseT = TypeVar("ResponseT")


def tell_caches(request: Any, response: ResponseT) -> ResponseT:
    """Have no cache serve to others what was made for somebody, Django's own cache included.

    Whether anybody looked who the request is decides: `request.principal`, `request.user`, a guard
    or Django's session. What the response says itself of caching stays; ``public`` is its word for it.
    """
    state = find_state(request)
    if state is None or not isinstance(response, HttpResponseBase):  # a guarded method's value, say
        return response
    session = getattr(request, "session", None)
    if not (state.is_looked_at or getattr(session, "accessed", False)):
        return response
    patch_vary_headers(response, ("Cookie", "Authorization"))
    if state.principal is not None and "Cache-Control" not in response.headers:
        patch_cache_control(response, private=True)
    return response
