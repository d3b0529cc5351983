"""What the pages for operators say works: the commands of the runbooks, the rules of the alerts."""

import json
import re
import urllib.error
import urllib.request

import yaml
from docs.pages import DOCS, blocks_of
from docs.test_examples import folder, needs_curl, run_calls, served

from sojourn.server.operations import Metrics

__all__ = ["folder"]
INCIDENTS = DOCS / "operations" / "incidents.md"
WATCHING = DOCS / "operations" / "watching.md"
ANN = {"email": "ann@example.com", "password": "seven unrelated words"}


def call(url, body=None, bearer=""):
    """Call the server; give the status, and the body where there is one."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"} | (
        {"Authorization": f"Bearer {bearer}"} if bearer else {}
    )
    request = urllib.request.Request(url, data, headers)  # noqa: S310 - loopback
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return answer.status, json.loads(answer.read() or "{}")
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.loads(refused.read())


def sign_in(url, password=ANN["password"]):
    """Sign ann in, for another client than a browser; give her tokens, or the refusal's status."""
    body = ANN | {"password": password, "transport": "bearer"}
    status, answer = call(f"{url}/auth/login", body)
    return answer if status == 200 else status


def runbook(title):
    """Give the commands of a runbook."""
    text = INCIDENTS.read_text(encoding="utf-8")
    part = text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    return "".join(block.code for block in blocks_of(INCIDENTS, "sh") if block.code in part)


def test_runbooks_do_what_they_say(folder):
    """The commands of each incident work against a running server, and end what they say."""
    needs_curl()
    with served(folder, "sojourn.cli", "serve") as url:
        assert call(f"{url}/auth/register", ANN)[0] == 201
        for title, code in {
            "A laptop was stolen": "revoked",
            "Sign everybody out": "revoked",
            "A signing key leaked": "invalid_token",
        }.items():
            held = sign_in(url)
            assert call(f"{url}/auth/session", bearer=held["access_token"])[0] == 200
            run_calls(folder, url, runbook(title))
            refused = call(f"{url}/auth/session", bearer=held["access_token"])[1]
            assert refused["code"] == code, title
            refreshed, _ = call(f"{url}/auth/refresh", {"refresh_token": held["refresh_token"]})
            assert refreshed == (200 if title == "A signing key leaked" else 401)
        disable, enable = (
            block.code
            for block in blocks_of(INCIDENTS, "sh")
            if block.code in runbook("An account is not its owner's")
        )
        run_calls(folder, url, disable)
        assert sign_in(url) == 401
        password = run_calls(folder, url, enable)
        assert any(sign_in(url, word) != 401 for word in password.split())
        run_calls(folder, url, runbook("A feed token leaked"))


def test_every_runbook_is_tried():
    """No command of the page is left out."""
    tried = [
        "A laptop was stolen",
        "An account is not its owner's",
        "Sign everybody out",
        "A signing key leaked",
        "A feed token leaked",
    ]
    assert "".join(map(runbook, tried)) == "".join(
        block.code for block in blocks_of(INCIDENTS, "sh")
    )


def test_alerts_name_metrics_that_exist():
    """The rules parse, and each metric and label in them is one the server has."""
    (block,) = blocks_of(WATCHING, "yaml")
    rules = [rule for group in yaml.safe_load(block.code)["groups"] for rule in group["rules"]]
    assert len({rule["alert"] for rule in rules}) == len(rules) >= 5
    known = {
        metric.name + ("_total" if metric.type == "counter" else "")
        for metric in Metrics().registry.collect()
    }
    named = {name for rule in rules for name in re.findall(r"sojourn_\w+", rule["expr"])}
    assert named <= known
    labels = {name for rule in rules for name in re.findall(r"(\w+)=~?\"", rule["expr"])}
    assert labels <= {"code", "status", "kind", "operation"}
    errors = (DOCS / "errors.md").read_text(encoding="utf-8")
    codes = {c for rule in rules for c in re.findall(r'code=~?"([\w|]+)"', rule["expr"])}
    assert all(f"`{code}`" in errors for group in codes for code in group.split("|"))
