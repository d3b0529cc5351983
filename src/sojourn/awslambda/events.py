"""A request as an event: of API Gateway in both payload formats, a function URL, a load balancer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sojourn.messages import Incoming

Event = Mapping[str, Any]

_METHOD_IN_ARN = 1
"""Where the method stands in the last part of an ARN: ``api/stage/METHOD/path``."""


def incoming_of_event(event: Event) -> Incoming:
    """Reduce a request.

    Args:
        event: Of a REST or HTTP API (payload 1.0 or 2.0), of a function URL, of a WebSocket API's
            ``$connect``, of an application load balancer, or of an authorizer (TOKEN or REQUEST).
    """
    request = event.get("requestContext") or {}
    http = request.get("http") or {}
    peer = http.get("sourceIp") or (request.get("identity") or {}).get("sourceIp") or ""
    headers = [
        (name.lower().encode("latin-1", "replace"), value.encode("latin-1", "replace"))
        for name, value in _headers_of(event)
    ]
    return Incoming.of(_method_of(event), headers, peer=peer)


def _method_of(event: Event) -> str:
    request = event.get("requestContext") or {}
    if "connectionId" in request:
        # A handshake is a GET that a page of any origin may make with our cookies; it counts as
        # unsafe, so that Origin is looked at (cross-site WebSocket hijacking).
        return "WEBSOCKET"
    method = (request.get("http") or {}).get("method") or event.get("httpMethod")
    if method is None:
        # What a TOKEN authorizer is told of; where it says no more, count the method as unsafe.
        parts = str(event.get("methodArn", "")).split("/")[1:]
        method = parts[_METHOD_IN_ARN] if len(parts) > _METHOD_IN_ARN else "POST"
    return str(method).upper()


def _headers_of(event: Event) -> Iterator[tuple[str, str]]:
    if event.get("type") == "TOKEN":
        yield "authorization", event.get("authorizationToken") or ""
        return
    for cookie in event.get("cookies") or ():  # payload 2.0 takes them out of the headers
        yield "cookie", cookie
    many = {
        name: values for name, values in (event.get("multiValueHeaders") or {}).items() if values
    }
    for name, values in many.items():
        for value in values:
            yield name, value or ""
    named = {name.lower() for name in many}
    for name, value in (event.get("headers") or {}).items():
        is_said = name.lower() in named or (event.get("cookies") and name.lower() == "cookie")
        if not is_said:
            yield name, value or ""
