"""The notes application on plain WSGI before anybody signs in: one list of notes for everybody."""

# ruff: noqa: ARG001 - requests are not told apart here

from http import HTTPStatus
from typing import Any

import notes
from notes.bare import (
    MOST_BYTES,
    Answer,
    NoSuchPage,
    Request,
    Routes,
    done,
    show,
    static_file,
)

NOTES = notes.Notes(notes.DATABASE)
routes = Routes()


def owner_of(request: Request) -> str:
    return "everybody"


# --- the notes ----------------------------------------------------------------------------------


@routes("GET", "/")
def home(request: Request) -> Answer:
    owner = owner_of(request)
    return show(request, "notes", notes=NOTES.of(owner))


@routes("POST", "/notes")
def add(request: Request) -> Answer:
    owner = owner_of(request)
    note = NOTES.add(owner, request.values.text("text"))
    return done(request, note)


@routes("POST", "/notes/clear")
def clear(request: Request) -> Answer:
    return done(request, {"deleted": NOTES.clear(owner_of(request))})


@routes("POST", "/notes/{note}/delete")
def delete(request: Request) -> Answer:
    owner = owner_of(request)
    if not NOTES.delete(owner, request.params["note"]):
        raise NoSuchPage("there is no such note")
    return done(request, {})


@routes("GET", "/static/{name}")
def static(request: Request) -> Answer:
    return static_file(request)


def refused(request: Request, error: notes.BadInput) -> Answer:
    return Answer(error.document, error.status, {"Content-Type": "application/problem+json"})


# --- the application ----------------------------------------------------------------------------


def application(environ: Any, start_response: Any) -> list[bytes]:
    request = read(environ)
    try:
        answer = routes.find(request)(request)
    except notes.BadInput as error:
        answer = refused(request, error)
    status = f"{answer.status} {HTTPStatus(answer.status).phrase}"
    start_response(status, list(answer.headers.items()))
    return [answer.body]


def read(environ: Any) -> Request:
    length = environ.get("CONTENT_LENGTH", "")
    size = min(int(length), MOST_BYTES) if length.isdecimal() else 0
    return Request(
        environ,
        method=environ["REQUEST_METHOD"],
        path=environ["PATH_INFO"].encode("latin-1").decode(errors="replace"),
        query=environ.get("QUERY_STRING", ""),
        accept=environ.get("HTTP_ACCEPT", ""),
        content_type=environ.get("CONTENT_TYPE", ""),
        body=environ["wsgi.input"].read(size),
    )


app = application
