"""The JSON endpoints of a client's own sign-in, as a blueprint."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Response, request

from sojourn.adapting.endpoints import ENDPOINTS, MAX_BODY_BYTES, Answer, Asked, Endpoint
from sojourn.errors import SojournError
from sojourn.flask.installed import current_state, here, load_user
from sojourn.flask.refusing import problem_response


def new_blueprint(name: str, *, url_prefix: str) -> Blueprint:
    """Make the blueprint.

    Args:
        name: Its name.
        url_prefix: What the paths begin with.
    """
    made = Blueprint(name, __name__, url_prefix=url_prefix)
    made.register_error_handler(SojournError, problem_response)  # never a page
    for endpoint in ENDPOINTS:
        rule = endpoint.path.replace("{", "<").replace("}", ">")
        name = endpoint.name.removeprefix("sojourn_")
        made.add_url_rule(rule, name, _view_of(endpoint), methods=[endpoint.method])
    return made


def _view_of(endpoint: Endpoint) -> Callable[..., Response]:
    def view(sid: str = "") -> Response:
        load_user()  # whom the application knows no longer is not signed in here either
        sojourn = here().auth.sojourn
        body = request.stream.read(MAX_BODY_BYTES + 1)
        act = endpoint.act(sojourn.core, current_state(), Asked(body=body, sid=sid))
        answer: Answer = sojourn.run(act)
        return Response(
            answer.body,
            status=answer.status,
            mimetype="application/json",
            headers={"Cache-Control": "no-store"},
        )

    return view
