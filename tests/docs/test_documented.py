"""Whatever somebody can set, call or be told is in docs/: what is new fails here until it is."""

import re
import sys
import tomllib
from dataclasses import fields

import click
import pytest
from docs.pages import DOCS, ROOT, name_of

import sojourn
from sojourn.cli import ending
from sojourn.engine.proof import WHY_ENDED
from sojourn.errors import Refused
from sojourn.model import AuditRecord, Kind
from sojourn.server import app as server_app, config as server_config
from sojourn.server.accounts import Account
from sojourn.server.config import load_config
from sojourn.server.operations import Metrics
from sojourn.server.service import _why_failed
from sojourn.settings import Settings

sys.path.insert(0, str(ROOT / "tools"))

import references
from references import calls, texts_of

METHODS = "GET|POST|PUT|PATCH|DELETE"


def page(name):
    """Read a page."""
    return (DOCS / name).read_text(encoding="utf-8")


def section(name, title):
    """Read a section of a page."""
    return page(name).partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def first_cells(text):
    """Give what stands in backticks in the first cell of each row of the tables."""
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    return {word for row in rows for word in re.findall(r"`([^`]+)`", row.split(" | ")[0])}


# --- settings -------------------------------------------------------------------------------------


def test_settings_are_documented():
    """Each setting of library and server is in settings.md, by its name and in the environment."""
    library = {field.name for field in fields(Settings) if field.init}
    known = library | set(server_config._SHAPES)
    cells = first_cells(page("settings.md"))
    in_environment = {f"SOJOURN_{name.upper()}" for name in known}
    assert in_environment - cells == set()
    assert known - cells - {"secret", "secret_file"} == set()


def test_the_environment_is_documented():
    """Each variable that the sources name is in settings.md."""
    named = set()
    for path in references.sources():
        text = path.read_text(encoding="utf-8")
        named |= set(re.findall(r"\bSOJOURN_[A-Z_]*[A-Z]\b", text))
        named |= {"SOJOURN_" + name for name in re.findall(r'PREFIX \+ "([A-Z_]+)"', text)}
    missing = {name for name in named if name not in page("settings.md")}
    assert missing == set()


def test_ranges_are_read_where_they_are_checked():
    """The ranges of settings.md are those that refuse: one beyond either end is refused."""
    ranges = references.setting_ranges()
    assert {"max_lag_seconds", "max_sessions"} <= set(ranges)
    for name, (low, high) in ranges.items():
        for value in (low - 1, high + 1):
            with pytest.raises(references.SojournError):
                Settings(url="http://127.0.0.1:8000", **{name: value})


# --- errors ---------------------------------------------------------------------------------------


def test_error_codes_are_documented():
    """Each code is in errors.md, those that the server makes up too."""
    codes = {kind.code for kind in references.error_classes()}
    made_up = {"internal", "refused", *server_app._PLAIN_CODES.values()}
    text = page("errors.md")
    assert {code for code in codes | made_up if f"`{code}`" not in text} == set()


def test_clients_are_told_what_to_do():
    """Of each refusal errors.md says what a client does, and of each "later" too."""
    codes = {
        kind.code
        for kind in references.error_classes()
        if (issubclass(kind, Refused) and kind is not Refused) or kind.status in {429, 503}
    }
    assert codes - first_cells(section("errors.md", "What a client does")) == set()


# --- the audit trail ------------------------------------------------------------------------------


def test_audit_actions_are_documented():
    """audit.md has each action that is written, and no other."""
    documented = first_cells(section("audit.md", "Actions"))
    assert len(documented) >= 14
    assert documented == set(references.audit_actions())
    assert documented == first_cells(section("events.md", "Of the audit trail"))


def test_an_action_is_found_however_it_is_given(tmp_path, monkeypatch):
    """An action is found as an argument, as either of two, by a constant's name, or as a default."""
    monkeypatch.setattr(references, "SRC", tmp_path)
    references.constants.cache_clear()
    (tmp_path / "some.py").write_text(
        'NAMED = "by_name"\n'
        'async def act(core, *, action: str = "by_default"):\n'
        '    core.audit("given")\n'
        '    core.audit("one" if core else "other", subject="not an action")\n'
        "    AuditRecord(at_ms=0, action=NAMED)\n"
        '    store(action="handed_on")\n'
        '    parser.add_argument("--yes", action="store_true")\n'
    )
    found = set(references.audit_actions())
    references.constants.cache_clear()
    assert found == {"given", "one", "other", "by_name", "by_default", "handed_on"}


def test_audit_fields_are_documented():
    """audit.md has each field of a line, and no other."""
    assert first_cells(section("audit.md", "Fields")) == set(AuditRecord.__struct_fields__)


def test_reasons_are_documented():
    """audit.md has each reason that the sources give for an end, and no other."""
    enders = {"delete", "revoke", "revoke_all", "_revoke_all", "delete_subject", "end_guest"}
    given = {*WHY_ENDED, "refresh_late", "refresh_reuse"}
    for _, name, call in calls():
        for keyword in call.keywords if name in enders else ():
            given |= texts_of(keyword.value) if keyword.arg == "reason" else set()
    assert first_cells(section("audit.md", "Reasons of an end")) == given


def test_reasons_of_failed_sign_ins_are_documented():
    """audit.md has each reason that the sources give for a failed sign-in, and no other."""
    given = set()
    for _, name, call in calls():
        for keyword in call.keywords if name in {"failed", "login_failed"} else ():
            given |= texts_of(keyword.value) if keyword.arg == "reason" else set()
    account = Account(
        subject="1", email="", password_hash="", roles=(), is_disabled=False, version=1,
        created_at_ms=0,
    )  # fmt: skip
    given |= {
        _why_failed(one, matches=matches) for one in (account, None) for matches in (True, False)
    }
    assert first_cells(section("audit.md", "Reasons of a failed sign-in")) == given


# --- the feed -------------------------------------------------------------------------------------


def test_kinds_of_entries_are_documented():
    """events.md and server.md have each kind of the feed's entries, and no other."""
    kinds = {str(kind) for kind in Kind}
    assert first_cells(section("events.md", "Of the feed")) == kinds
    assert kinds - first_cells(section("server.md", "The feed for other services")) == set()


def test_events_of_the_stream_are_documented():
    """events.md and server.md have each event that the stream of revocations sends."""
    sent = set(references.stream_events())
    assert sent == {"open", "entry", "heartbeat", "gap"}
    assert first_cells(section("events.md", "Of the stream")) == sent
    assert sent - first_cells(section("server.md", "The feed for other services")) == set()


# --- the Python API -------------------------------------------------------------------------------


def test_public_names_are_documented():
    """Each public name is in api.md with words of its own; each exception is in errors.md."""
    api, errors = page("api.md"), page("errors.md") + page("settings.md")
    for name in sojourn.__all__:
        value = getattr(sojourn, name)
        if isinstance(value, type) and issubclass(value, Exception):
            assert f"{name}`" in errors, name
        elif name != "__version__":
            assert f"\n## `{name}`\n" in api, name
    for method in ("AsyncSojourn.login", "AsyncVerifier.check", "Need.of", "Issuer.sojourn"):
        words = api.partition(f"\n### `{method}`\n")[2].partition("\n```\n\n")[2]
        assert words.partition("\n#")[0].strip(), method


# --- the server -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def endpoints(tmp_path_factory):
    """Give every endpoint of the server."""
    folder = tmp_path_factory.mktemp("server")
    secret = "a-secret-of-the-documentation-0123456789"
    environ = {"SOJOURN_SECRET": secret, "SOJOURN_DATA": str(folder)}
    routes = server_app.Server(load_config(environ=environ)).app()._app.routes
    return {
        f"{method} {route.path}" for route in routes for method in route.methods if method != "HEAD"
    }


def test_endpoints_are_documented(endpoints):
    """server.md has each endpoint in a table, and no other."""
    cells = first_cells(section("server.md", "Endpoints"))
    documented = {cell for cell in cells if re.match(rf"({METHODS}) /", cell)}
    assert documented == endpoints


def test_metrics_are_documented():
    """server.md has each metric by the name it is scraped by."""
    names = {
        sample.name.removesuffix("_created")
        for metric in Metrics().registry.collect()
        for sample in metric.samples
    }
    families = {
        metric.name + ("_total" if metric.type == "counter" else "")
        for metric in Metrics().registry.collect()
    }
    assert {name for name in families | names if f"`{name}`" not in page("server.md")} == set()


# --- the command line -----------------------------------------------------------------------------


def test_commands_are_documented():
    """cli.md has each command, with examples of how it is typed."""
    text = page("cli.md")
    for words, command, _ in references.commands():
        assert f"### `{words}`" in text
        if not isinstance(command, click.Group):
            assert command.examples, words


def test_exit_codes_are_documented():
    """cli.md has each exit code."""
    codes = {ending.INTERRUPTED, *ending.EXIT_CODES.values(), ending.USAGE, 0}
    rows = re.findall(r"^\| (\d+) \|", page("cli.md"), re.MULTILINE)
    assert codes - {int(row) for row in rows} == set()


# --- the pages themselves -------------------------------------------------------------------------


def names_of_pages():
    """Name every page but the single decisions, which decisions.md leads to."""
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    return {name for name in pages if not name.startswith("adr/")}


def test_index_names_every_page():
    """index.md leads to each page, and none is named that is not there."""
    linked = set(re.findall(r"\]\(([\w/-]+\.md)", page("index.md")))
    assert linked == names_of_pages() - {"index.md"}


def test_the_navigation_names_every_page():
    """The site's navigation leads to each page once, and none is named that is not there."""
    config = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))

    def below(item):
        if isinstance(item, str):
            return [item]
        parts = item.values() if isinstance(item, dict) else item
        return [name for part in parts for name in below(part)]

    assert sorted(below(config["project"]["nav"])) == sorted(names_of_pages())


@pytest.mark.parametrize("path", sorted(DOCS.rglob("*.md")), ids=name_of)
def test_pages_say_nothing_of_this_machine(path):
    """No page names a place of the machine it was written on."""
    text = path.read_text(encoding="utf-8")
    assert re.findall(r"/(?:home|root|work|Users)/\S*", text) == []
