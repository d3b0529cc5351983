"""An application factory behind gunicorn: several forked processes on one store."""

import http.client
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from servers import free_port, wait_until

import sojourn

APP = """
from flask import Flask, request

from sojourn.flask import Auth, SojournSessionInterface, current_user, login_required, login_user
from flask import session
import os

auth = Auth()


def create_app():
    app = Flask(__name__)
    app.session_interface = SojournSessionInterface()
    auth.init_app(app)  # in the parent, before the fork: --preload
    with app.app_context():
        auth.sojourn.sessions("nobody")  # the store is open in the parent

    @app.post("/login")
    def login():
        login_user(request.get_json()["name"])
        return {"pid": os.getpid()}

    @app.get("/me")
    @login_required
    def me():
        session["n"] = session.get("n", 0) + 1
        return {"subject": current_user.get_id(), "n": session["n"], "pid": os.getpid()}

    return app
"""
