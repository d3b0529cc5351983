"""The stylesheet and the icon: read once, named by their content, kept by browsers for a year."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.requests import Request

PREFIX = "/static/"
_FOLDER = Path(__file__).parent / "static"
_TYPES = {".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
_VERSION_CHARACTERS = 12


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file as it is served."""

    content: bytes
    media_type: str
    version: str

    @property
    def etag(self) -> str:
        """The entity tag: a strong one, since it is made of the content."""
        return f'"{self.version}"'


def _load() -> dict[str, StaticFile]:
    files = {}
    for path in sorted(_FOLDER.iterdir()):
        if path.suffix in _TYPES:
            content = path.read_bytes()
            version = hashlib.sha256(content).hexdigest()[:_VERSION_CHARACTERS]
            files[path.name] = StaticFile(content, _TYPES[path.suffix], version)
    return files


FILES = _load()


def static_url(name: str) -> str:
    """Give the address of a file; another content has another address."""
    return f"{PREFIX}{name}?v={FILES[name].version}"


async def serve_static(request: Request) -> Response:
    """Serve a file. Only under the address of its present content it is kept for long.

    Raises:
        HTTPException: There is no such file.
    """
    file = FILES.get(request.path_params["name"])
    if file is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, "there is no such file")
    is_versioned = request.query_params.get("v") == file.version
    headers = {
        "ETag": file.etag,
        "Cache-Control": "public, max-age=31536000, immutable" if is_versioned else "no-cache",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    tags = [tag.strip() for tag in request.headers.get("if-none-match", "").split(",")]
    # The comparison is the weak one (RFC 9110 section 13.1.2): a proxy that compresses says W/.
    if any(tag.removeprefix("W/") == file.etag or tag == "*" for tag in tags):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(file.content, media_type=file.media_type, headers=headers)
