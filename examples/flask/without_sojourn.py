"""The notes application in Flask before anybody signs in: one list of notes for everybody."""

from typing import Any

from flask import Flask, Response, abort, jsonify, redirect, request
from flask.typing import ResponseReturnValue as Answer

import notes

app = Flask("notes", static_folder=notes.STATIC, static_url_path="/static")
NOTES = notes.Notes(notes.DATABASE)


def owner() -> str:
    return "everybody"


def values() -> notes.Values:
    return notes.read_values(request.get_data(), request.content_type)


def show(template: str, **values: Any) -> Answer:
    """Show a page in a browser, the values alone to other clients."""
    if not notes.wants_page(request.headers.get("Accept")):
        return jsonify(values), notes.HEADERS
    return notes.page(template, query=request.args, **values), notes.HEADERS


def done(values: Any, *, go_to: str = "/") -> Answer:
    """Lead a browser on, answer other clients with what came of it."""
    if notes.wants_page(request.headers.get("Accept")):
        return redirect(go_to, 303)
    return jsonify(values)


# --- the notes ----------------------------------------------------------------------------------


@app.get("/")
def home() -> Answer:
    return show("notes", notes=NOTES.of(owner()))


@app.post("/notes")
def add() -> Answer:
    return done(NOTES.add(owner(), values().text("text")))


@app.post("/notes/<note>/delete")
def delete(note: str) -> Answer:
    if not NOTES.delete(owner(), note):
        abort(404)
    return done({})


@app.post("/notes/clear")
def clear() -> Answer:
    return done({"deleted": NOTES.clear(owner())})


@app.errorhandler(notes.BadInput)
def refused(error: notes.BadInput) -> Answer:
    return Response(error.document, error.status, mimetype="application/problem+json")


# --- the application ----------------------------------------------------------------------------
