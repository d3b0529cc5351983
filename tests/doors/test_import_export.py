"""`sojourn users import` and `sojourn export`: the doors for accounts, in and out."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from cli.programs import PASSWORD, environment, signed_in
from click.testing import CliRunner
from django.contrib.auth.hashers import ScryptPasswordHasher
from services_postgres import shared_postgres
from werkzeug.security import generate_password_hash

from sojourn import Incoming, Sojourn
from sojourn.cli.place import Place, operator, run_with_server
from sojourn.cli.root import root
from sojourn.errors import InvalidCredentials
from sojourn.server.accounts import MIGRATIONS, NAMESPACE, Accounts
from sojourn.server.database import database_of
from sojourn.stores.sqlite import AsyncSqliteStore
from sojourn.testing import ManualClock

OLD_PASSWORD = "seven unrelated words of before"


@pytest.fixture(autouse=True)
def _own_environment(tmp_path, monkeypatch):
    """Give each test a data folder of its own and nothing of the environment it runs under."""
    for name in [name for name in os.environ if name.startswith("SOJOURN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SOJOURN_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)


def cli(*args, stdin=None):
    """Run a command in this process."""
    result = CliRunner().invoke(root, [str(arg) for arg in args], input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def lines_of(*accounts):
    """Write accounts as JSON lines."""
    return "".join(json.dumps(account) + "\n" for account in accounts)


def account(email="ada@example.com", **more):
    """Make a line as a dump of Django's user table gives."""
    hasher = ScryptPasswordHasher()
    made = hasher.encode(OLD_PASSWORD, hasher.salt())
    return {"email": email, "password_hash": made, **more}


def accounts_now():
    """Read what the server keeps of each account."""

    async def act(server):
        return await server.accounts.page()

    return {each.email: each for each in run_with_server(Place().load()[0], act)}


def sign_in(email, password):
    """Sign in, and give the subject."""

    async def act(server):
        incoming = Incoming(method="POST", peer="192.0.2.7")
        signed = await server.service.login(incoming, email, password, transport="bearer")
        return signed.principal.subject

    return run_with_server(Place().load()[0], act)


def exported(*args):
    """Export, and give the lines by kind."""
    result = cli("export", *args)
    assert result.exit_code == 0, result.stderr
    found = {}
    for line in result.stdout.splitlines():
        read = json.loads(line)
        found.setdefault(read["kind"], []).append(read)
    return found


def test_whoever_was_imported_signs_in_with_the_old_password(tmp_path):
    """Address, subject, roles and age are taken over; the first sign-in makes the hash one of ours."""
    file = tmp_path / "users.jsonl"
    plain = {"email": "BOB@example.com", "password_hash": generate_password_hash(OLD_PASSWORD)}
    ada = account(subject=42, roles=["editor", "admin"], created_at=1_500_000_000)
    file.write_text(lines_of(ada, plain))
    taken = cli("users", "import", file, "--json")
    assert taken.exit_code == 0, taken.stderr
    assert {"taken": 2, "refused": 0, "skipped": 0, "refusals": []} == json.loads(taken.stdout)
    before = accounts_now()
    assert ("42", ("admin", "editor"), 1_500_000_000_000) == (
        before["ada@example.com"].subject,
        before["ada@example.com"].roles,
        before["ada@example.com"].created_at_ms,
    )
    assert before["bob@example.com"].password_hash == plain["password_hash"]
    for email in before:
        with pytest.raises(InvalidCredentials):
            sign_in(email, PASSWORD)
        sign_in(email, OLD_PASSWORD)
        assert accounts_now()[email].password_hash.startswith("$argon2id$")
        sign_in(email, OLD_PASSWORD)
    lines = json.loads(cli("audit", "tail", "--json").stdout)["lines"]
    registered = [line for line in lines if line["action"] == "registered"]
    assert [(operator(), "imported")] * 2 == [(each["by"], each["reason"]) for each in registered]


def test_who_is_disabled_or_has_no_password_cannot_sign_in():
    """The state is taken over; an unusable hash of Django's is an account without a password."""
    lines = lines_of(account(is_disabled=True), {"email": "bob@example.com", "password_hash": "!x"})
    assert cli("users", "import", "-", stdin=lines).exit_code == 0
    for email in ("ada@example.com", "bob@example.com"):
        with pytest.raises(InvalidCredentials):
            sign_in(email, OLD_PASSWORD)


def test_what_cannot_be_taken_is_told_by_its_line():
    """The rest is taken, the exit code is 1, and no line's hash is repeated."""
    secret = "pbkdf2_sha256$999999999$salt$" + "A" * 43 + "="
    bad = [
        "no JSON",
        "[]",
        json.dumps({"email": "eve@example.com"}),
        json.dumps(account("eve")),
        json.dumps({"email": "eve@example.com", "password_hash": secret}),
        json.dumps({"email": "eve@example.com", "password_hash": "plain text"}),
        json.dumps(account("eve@example.com", role="admin")),
        json.dumps(account("eve@example.com", roles=["two words"])),
        json.dumps(account("eve@example.com", roles=[f"role-{n:060}" for n in range(400)])),
        json.dumps(account("eve@example.com", subject="")),
        json.dumps(account("eve@example.com", created_at=-1)),
        json.dumps(account("eve@example.com", filler="x" * 70_000)),
        json.dumps(account("ADA@example.com")),
        json.dumps(account("another@example.com", subject="42")),
    ]
    lines = lines_of(account(subject="42"), {"kind": "session"}) + "\n" + "\n".join(bad)
    done = cli("users", "import", "-", "--json", stdin=lines)
    told = json.loads(done.stdout)
    assert (1, 1, len(bad), 2) == (
        done.exit_code,
        told["taken"],
        told["refused"],
        told["skipped"],
    )
    assert {*range(4, 4 + len(bad))} == {each["line"] for each in told["refusals"]}
    assert secret not in done.output
    said = cli("users", "import", "-", stdin=lines_of(account()))
    assert said.exit_code == 1
    assert "line 1: an account has this address or subject already" in said.stderr


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
async def test_taken_names_are_told_apart_on_each_database(engine, tmp_path):
    """One whose address or subject is taken is not added; those beside it in the same step are."""
    path = tmp_path / "accounts.db"
    url = shared_postgres().new_schema() if engine == "postgresql" else f"sqlite:///{path}"
    store = AsyncSqliteStore(str(path))
    database = database_of(url, beside=store)
    await store.open(longest_token_ms=1_000)
    await database.open(namespace=NAMESPACE, migrations=MIGRATIONS)
    accounts = Accounts(database, clock=ManualClock())
    ada = await accounts.add("ada@example.com", "!")
    bob = msgspec.structs.replace(ada, subject="7", email="bob@example.com", roles=("admin",))
    same_subject = msgspec.structs.replace(bob, email="eve@example.com")
    same_address = msgspec.structs.replace(bob, subject="8")
    assert [False, True, False, False] == await accounts.take(
        [ada, bob, same_subject, same_address]
    )
    assert bob == await accounts.by_subject("7")
    await database.close()
    await store.close()


def test_many_batches(monkeypatch):
    """More lines than are taken in one step are all taken."""
    monkeypatch.setattr("sojourn.cli.users_import.BATCH", 3)
    made = account()["password_hash"]
    lines = lines_of(*({"email": f"n{n}@example.com", "password_hash": made} for n in range(10)))
    assert "taken\t10" in cli("users", "import", "-", stdin=lines).stdout
    assert len(accounts_now()) == 10


def test_everything_is_exported_but_what_could_be_used(monkeypatch):
    """Accounts with their hashes, the trail and the sessions are there; seeds and secrets are not."""
    monkeypatch.setattr("sojourn.cli.export_lines.ACCOUNTS", 1)
    monkeypatch.setattr("sojourn.cli.export_lines.PAGE", 2)
    sid = signed_in("ada@example.com")
    signed_in("bob@example.com")
    cli("users", "disable", "bob@example.com")
    found = exported()
    (head,) = found["export"]
    assert (1, "http://127.0.0.1:8000") == (head["version"], head["url"])
    ada, bob = found["account"]
    assert ("ada@example.com", False, True) == (
        ada["email"],
        ada["is_disabled"],
        bob["is_disabled"],
    )
    assert ada["password_hash"].startswith("$argon2id$")
    (session,) = found["session"]
    assert (ada["subject"], sid, {}) == (session["subject"], session["sid"], session["data"])
    assert {"created_at", "auth_time", "seen_at", "expires_at", "roles"} <= session.keys()
    assert not {"seed", "chains", "position"} & session.keys()
    actions = [line["action"] for line in found["audit"]]
    assert ["registered", "login", "registered", "login"] == [
        action for action in actions if action in {"registered", "login"}
    ]
    assert [line["number"] for line in found["audit"]] == sorted(
        line["number"] for line in found["audit"]
    )


def test_sessions_of_a_library_are_exported_with_their_data(tmp_path, monkeypatch):
    """Beside no server the subjects are those that the trail knows."""
    monkeypatch.delenv("SOJOURN_DATA")
    with Sojourn("sqlite:///app.db", mode="session", url="http://127.0.0.1:8000") as auth:
        incoming = Incoming(method="POST")
        signed = auth.login(incoming, "ann", transport="bearer", claims={"plan": "pro"})
        bearer = Incoming(authorization=f"Bearer {signed.access_token}")
        data = auth.data(bearer, signed.principal)
        data["basket"] = ["tea"]
        auth.save(bearer, data)
    monkeypatch.setenv("SOJOURN_STORE", "sqlite:///app.db")
    found = exported()
    (session,) = found["session"]
    assert ("ann", {"plan": "pro"}, {"basket": ["tea"]}) == (
        session["subject"],
        session["claims"],
        session["data"],
    )
    assert "account" not in found


def test_what_was_exported_can_be_imported_elsewhere(tmp_path):
    """The door out of one server is the door into another; passwords go on working."""
    cli("users", "import", "-", stdin=lines_of(account(subject="42", roles=["admin"])))
    signed_in("bob@example.com")
    file = tmp_path / "all.jsonl"
    told = json.loads(cli("export", "--output", file, "--json").stdout)
    assert (2, 1) == (told["account"], told["session"])
    assert 0o600 == file.stat().st_mode & 0o777
    assert [file.name] == [each.name for each in tmp_path.glob("*.jsonl*")]
    before = accounts_now()
    os.environ["SOJOURN_DATA"] = str(tmp_path / "elsewhere")
    done = json.loads(cli("users", "import", file, "--json").stdout)
    assert (2, 0) == (done["taken"], done["refused"])
    assert before.keys() == accounts_now().keys()
    assert "42" == sign_in("ada@example.com", OLD_PASSWORD)
    assert before["bob@example.com"].subject == sign_in("bob@example.com", PASSWORD)


def test_a_file_is_not_overwritten(tmp_path):
    """An export goes into a new file, and leaves nothing half written."""
    signed_in()
    file = tmp_path / "all.jsonl"
    file.write_text("precious")
    refused = cli("export", "--output", file)
    assert (3, "precious") == (refused.exit_code, file.read_text())
    assert [file.name] == [each.name for each in tmp_path.glob("*.jsonl*")]
    nowhere = cli("export", "--output", tmp_path / "missing" / "all.jsonl")
    assert 3 == nowhere.exit_code
    no_store = cli("export", "--data", "elsewhere", "--output", tmp_path / "none.jsonl")
    assert (3, False) == (no_store.exit_code, Path("none.jsonl").exists())


def test_progress_is_for_people(tmp_path):
    """On a terminal the count of lines is shown, on stderr alone; a program is told nothing."""
    made = account()["password_hash"]
    file = tmp_path / "users.jsonl"
    file.write_text(
        lines_of(*({"email": f"n{n}@example.com", "password_hash": made} for n in range(501)))
    )
    command = [sys.executable, "-m", "sojourn.cli"]
    ours, theirs = pty.openpty()
    subprocess.run(
        [*command, "users", "import", str(file)], stderr=theirs, stdout=subprocess.PIPE,
        env=environment(), check=True,
    )  # fmt: skip
    export = [*command, "export"]
    done = subprocess.run(
        export, stderr=theirs, stdout=subprocess.PIPE, env=environment(), text=True, check=True
    )
    os.close(theirs)
    shown = os.read(ours, 65_536).decode()
    os.close(ours)
    assert "500 lines" in shown
    assert "501 lines" in shown
    assert "1,004 lines" in shown  # accounts, their lines of the trail, the key's, and the head
    assert all(json.loads(line) for line in done.stdout.splitlines())
    quiet = subprocess.run(export, capture_output=True, env=environment(), text=True, check=True)
    assert "lines" not in quiet.stderr
