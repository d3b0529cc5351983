"""Reading requests strictly: bounded bodies, one content type, no unknown or missing fields."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

import msgspec

from sojourn.errors import BadRequest, SojournError

if TYPE_CHECKING:
    from starlette.requests import Request

T = TypeVar("T")
MAX_BODY_BYTES = 64 * 1024
MAX_HEADER_BYTES = 32 * 1024
BODY_SECONDS = 30.0


class UnsupportedMediaType(SojournError):
    """The body is of another content type than this call takes."""

    code = "unsupported_media_type"
    status = 415


class ContentTooLarge(SojournError):
    """The body is larger than any call takes."""

    code = "content_too_large"
    status = 413


class RequestTimeout(SojournError):
    """The body did not come to its end in time; the client is slow, or holds a connection."""

    code = "request_timeout"
    status = 408


async def read_json(request: Request, shape: type[T]) -> T:
    """Read a JSON body of a shape.

    Raises:
        UnsupportedMediaType: It is not declared as JSON.
        ContentTooLarge: It is over 64 KiB.
        BadRequest: It is not JSON, or not of the shape.
    """
    require_json(request)
    return decode_json(await read_body(request), shape)


def require_json(request: Request) -> None:
    """Refuse a body that is not declared as JSON.

    Raises:
        UnsupportedMediaType: It is declared otherwise, or not at all.
    """
    declared = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if declared != "application/json":
        raise UnsupportedMediaType("send the body as application/json")


def decode_json(body: bytes, shape: type[T]) -> T:
    """Decode JSON into a shape; see `read_json`."""
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.ValidationError as error:
        raise BadRequest(f"the body does not fit this call: {error}") from error
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise BadRequest("the body is not JSON") from error


async def read_body(request: Request) -> bytes:
    """Read a body of bounded size and within a time, refusing before it is all in memory.

    Raises:
        ContentTooLarge: It is over 64 KiB.
        RequestTimeout: It did not come to its end within half a minute.
    """
    parts, size = [], 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                size += len(part)
                if size > MAX_BODY_BYTES:
                    raise ContentTooLarge(f"a body may have {MAX_BODY_BYTES} bytes")
                parts.append(part)
    except TimeoutError:
        raise RequestTimeout("the body did not come to its end in time; send it again") from None
    return b"".join(parts)
