"""Writes the generated parts of docs/: settings, errors, events, decisions, the API, the command line.

    python tools/references.py            # writes what is stale
    python tools/references.py --check    # fails where something is

A page marks its place by ``<!-- generated: NAME -->`` and ``<!-- end -->``.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import re
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from dataclasses import MISSING, fields
from functools import cache
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import api_reference
import click

import sojourn
from sojourn import settings
from sojourn.errors import Refused, SojournError
from sojourn.model import Event, Kind
from sojourn.modes import DAY, HOUR, MODES
from sojourn.server import config

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
SRC = ROOT / "src" / "sojourn"
PREFIX = "SOJOURN_"
HELP_COLUMNS = 100
MINUTE = 60

_BLOCK = re.compile(r"(<!-- generated: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_ARGUMENT = re.compile(r"(\w+): (.*)")
_TYPES = {str: "text", int: "whole number", float: "number", bool: "yes or no"}


# --- small things ---------------------------------------------------------------------------------


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Write a Markdown table."""
    titles = list(header)
    lines = [titles, ["---"] * len(titles), *rows]
    return "".join(f"| {' | '.join(map(in_cell, line))} |\n" for line in lines)


def in_cell(text: str) -> str:
    """Keep what a cell holds from ending it."""
    return text.replace("|", r"\|")


def span(seconds: float) -> str:
    """Write a duration as people say it."""
    for unit, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= unit and seconds % unit == 0:
            return f"{seconds // unit:g} {name}"
    return f"{seconds:g} s"


def plain(text: str) -> str:
    """Turn a docstring's literals into Markdown's, on one line."""
    return re.sub(r"\s+", " ", text).strip().replace("``", "`")


def arguments_of(documented: Any) -> dict[str, str]:
    """Read what a Google docstring says of each argument."""
    lines = inspect.getdoc(documented).partition("Args:\n")[2].splitlines()  # type: ignore[union-attr]
    found: dict[str, str] = {}
    name = ""
    for line in lines:
        if line.strip() and not line.startswith("    "):
            break
        own = _ARGUMENT.fullmatch(line.removeprefix("    "))
        if own and not line.startswith("        "):
            name = own[1]
            found[name] = own[2]
        elif line.strip():
            found[name] += " " + line.strip()
    return {name: plain(text) for name, text in found.items()}


def first_line(documented: Any) -> str:
    """Give a docstring's summary."""
    return plain((inspect.getdoc(documented) or "").partition("\n\n")[0])


def sources() -> list[Path]:
    """Give the files of the package, but for what tests use."""
    return [path for path in sorted(SRC.rglob("*.py")) if "testing" not in path.parts]


# --- settings -------------------------------------------------------------------------------------


def setting_ranges() -> dict[str, tuple[float, float]]:
    """Read the ranges where they are checked: a literal within `Settings._check_ranges`."""
    tree = ast.parse(inspect.getsource(settings))
    literal = next(
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and node.target.id == "ranges"
        and node.value is not None
    )
    code = compile(ast.Expression(literal), "<settings>", "eval")
    found: dict[str, tuple[float, float]] = eval(code, vars(settings))  # noqa: S307 - our own source
    return found


def shown_type(hint: Any) -> str:
    """Say what a setting takes."""
    parts = get_args(hint)
    if get_origin(hint) in {Union, types.UnionType}:
        return shown_type(next(part for part in parts if part is not types.NoneType))
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(f"`{part}`" for part in parts)
    if get_origin(hint) is tuple:
        return f"list: {shown_type(parts[0])}"
    return _TYPES[hint]


def shown_default(name: str, default: Any) -> str:
    """Say what holds where nothing is set."""
    if default is MISSING:
        return "needed"
    if default in (None, "", ()):
        return "—"
    if name.endswith("_seconds") and default >= MINUTE:
        return f"`{default}` ({span(default)})"
    return f"`{default}`"


def shown_range(name: str, limits: tuple[float, float] | None) -> str:
    """Say which values are taken."""
    if limits is None:
        return ""
    low, high = limits
    if name.endswith("_seconds"):
        return f"{span(low)} to {span(high)}"
    return f"{low:,} to {high:,}"


def library_settings() -> str:
    """Every field of `Settings`."""
    hints, ranges = get_type_hints(settings.Settings), setting_ranges()
    meanings = arguments_of(settings.Settings)
    rows = []
    for field in fields(settings.Settings):
        if not field.init:
            continue
        name = field.name
        rows.append(
            (
                f"`{name}`<br>`{PREFIX}{name.upper()}`",
                shown_type(hints[name]),
                shown_default(name, field.default),
                shown_range(name, ranges.get(name)),
                meanings[name],
            )
        )
    return table(("Setting", "Type", "Default", "Range", "Meaning"), rows)


_YES_OR_NO = {True: "yes", False: "no"}
_SERVER_NAMES = {"is_open": "open_registration"}
_SERVER_DEFAULTS = {"host", "port", "data", "workers"}


def server_settings() -> str:
    """Every field of `ServerConfig` that somebody sets, by the names they set it by."""
    hints, meanings = get_type_hints(config.ServerConfig), arguments_of(config.ServerConfig)
    defaults = config.load_config(
        environ={PREFIX + "SECRET": "only-to-read-the-defaults-0123456789"}
    )
    rows = []
    for field in fields(config.ServerConfig):
        if field.name in {"settings", "secrets"}:
            continue
        name = _SERVER_NAMES.get(field.name, field.name)
        hint = str if hints[field.name] is Path else hints[field.name]
        default = getattr(defaults, field.name)
        shown = f"`{_YES_OR_NO[default] if isinstance(default, bool) else default}`"
        is_shown = field.name in _SERVER_DEFAULTS or isinstance(default, bool)
        rows.append(
            (
                f"`{name}`<br>`{PREFIX}{name.upper()}`",
                shown_type(hint),
                shown if is_shown else "—",
                meanings[field.name],
            )
        )
    return table(("Setting", "Type", "Default", "Meaning"), rows)


def default_lives() -> str:
    """How long a sign-in lives by default, mode by mode."""
    access = settings.Settings(url="http://127.0.0.1:8000").access_seconds
    rows = [
        (
            f"`{mode}`",
            span(rules.absolute_ttl_seconds),
            "—" if rules.idle_ttl_seconds is None else span(rules.idle_ttl_seconds),
            span(access) if rules.is_refreshed else "—",
        )
        for mode, rules in MODES.items()
    ]
    return table(("Mode", "Absolute", "Idle", "Access token"), rows)


def preset_lives() -> str:
    """The longest lives each preset allows."""
    rows = [
        (
            f"`{name}`",
            span(lives.absolute_ttl_seconds),
            "—" if lives.idle_ttl_seconds is None else span(lives.idle_ttl_seconds),
            span(lives.access_ttl_seconds),
        )
        for name, lives in settings.PRESETS.items()
    ]
    return table(("Preset", "Absolute", "Idle", "Access token"), rows)


# --- errors ---------------------------------------------------------------------------------------


def import_errors() -> None:
    """Import every module that defines an error with a code; some others need a framework set up."""
    for path in sources():
        if re.search(r'^    code = "', path.read_text(encoding="utf-8"), re.MULTILINE):
            name = ".".join(path.relative_to(SRC.parent).with_suffix("").parts)
            importlib.import_module(name.removesuffix(".__init__"))


def error_classes() -> list[type[SojournError]]:
    """Give every class with a code of its own, in the order in which they are defined."""
    import_errors()

    def below(kind: type[SojournError]) -> Iterator[type[SojournError]]:
        for derived in kind.__subclasses__():
            yield derived
            yield from below(derived)

    own = {
        kind: None
        for kind in below(SojournError)
        if "code" in vars(kind) and kind.__module__.startswith("sojourn.")
    }
    return sorted(own, key=lambda kind: (kind.__module__, inspect.getsourcelines(kind)[1]))


def errors_of(is_wanted: Callable[[type[SojournError]], bool]) -> str:
    """Write a table of error classes."""
    rows = []
    for kind in error_classes():
        if is_wanted(kind):
            home = "sojourn" if kind.__name__ in sojourn.__all__ else kind.__module__
            rows.append(
                (f"`{kind.code}`", str(kind.status), f"`{home}.{kind.__name__}`", first_line(kind))
            )
    return table(("Code", "HTTP", "Class", "Meaning, and for whom"), rows)


def _is_of_server(kind: type[SojournError]) -> bool:
    return kind.__module__.startswith(("sojourn.server", "sojourn.cli", "sojourn.passwords"))


# --- events ---------------------------------------------------------------------------------------

_WRITERS = {"audit", "_note", "AuditRecord"}
"""What makes a line of the audit trail, or passes one on; the action is a text it is given."""


def calls() -> Iterator[tuple[Path, str, ast.Call]]:
    """Go over all calls in the sources: where, the name that is called, and the call."""
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                yield path, getattr(node.func, "attr", getattr(node.func, "id", "")), node


@cache
def constants() -> dict[str, set[str]]:
    """Give the texts that modules name in capitals."""
    found: dict[str, set[str]] = {}
    for path in sources():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
                for name in node.targets:
                    if isinstance(name, ast.Name) and isinstance(node.value.value, str):
                        found.setdefault(name.id, set()).add(node.value.value)
    return {name: texts for name, texts in found.items() if name.isupper()}


def functions() -> Iterator[tuple[Path, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Go over all functions in the sources."""
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield path, node


def texts_of(node: ast.expr) -> set[str]:
    """Give every text an expression may be: of a conditional one, both; of a constant, its text."""
    if isinstance(node, ast.IfExp):
        return texts_of(node.body) | texts_of(node.orelse)
    if isinstance(node, ast.Name):
        return constants().get(node.id, set())
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return {node.value}
    return set()


def audit_actions() -> dict[str, set[str]]:
    """Find every action that the sources write, and the files that do."""
    found: dict[str, set[str]] = {}

    def note(path: Path, actions: Iterable[ast.expr | None]) -> None:
        for action in set().union(*(texts_of(one) for one in actions if one is not None)):
            found.setdefault(action, set()).add(path.relative_to(SRC).as_posix())

    for path, name, call in calls():
        note(path, call.args if name in _WRITERS else ())
        if name != "add_argument":  # argparse has actions of its own
            note(path, [keyword.value for keyword in call.keywords if keyword.arg == "action"])
    for path, function in functions():
        arguments = zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
        note(path, [default for argument, default in arguments if argument.arg == "action"])
    return found


def stream_events() -> dict[str, set[str]]:
    """Find every event that the server sends on the stream of revocations."""
    found: dict[str, set[str]] = {}
    for path, name, call in calls():
        if name == "event" and path.is_relative_to(SRC / "server"):
            for text in set().union(*map(texts_of, call.args[:1])):
                found.setdefault(text, set()).add(path.relative_to(SRC).as_posix())
    return found


def where(found: dict[str, set[str]], title: str) -> str:
    """Write a table of events and where they come from."""
    rows = [
        (f"`{name}`", ", ".join(f"`src/sojourn/{file}`" for file in sorted(files)))
        for name, files in sorted(found.items())
    ]
    return table((title, "Written in"), rows)


def feed_kinds() -> str:
    """Every kind of entry of the feed, with the words below it in its source."""
    (kinds,) = ast.parse(inspect.getsource(Kind)).body
    assert isinstance(kinds, ast.ClassDef)
    meanings: dict[str, str] = {}
    for node, after in zip(kinds.body, kinds.body[1:], strict=False):
        if isinstance(node, ast.Assign) and isinstance(after, ast.Expr):
            meanings |= dict.fromkeys(texts_of(node.value), *texts_of(after.value))
    return table(("Kind", "Meaning"), [(f"`{k}`", plain(meanings[k])) for k in Kind])


def feed_fields() -> str:
    """The fields of an event, which an entry leaves out where they are not set."""
    return ", ".join(f"`{name}`" for name in Event.__struct_fields__) + ".\n"


# --- decisions ------------------------------------------------------------------------------------


def decisions() -> str:
    """Every decision record, by its number and title."""
    rows = []
    for path in sorted((DOCS / "adr").glob("*.md")):
        title = path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")
        number, _, words = title.partition(" ")
        rows.append((number.rstrip(".:"), f"[{words}](adr/{path.name})"))
    return table(("", "Decision"), rows)


# --- the command line -----------------------------------------------------------------------------


def commands() -> Iterator[tuple[str, click.Command, click.Context]]:
    """Go through all commands: the words to type, the command, its context."""
    from sojourn.cli.root import root  # noqa: PLC0415 - only where wanted

    def below(
        words: str, command: click.Command, context: click.Context
    ) -> Iterator[tuple[str, click.Command, click.Context]]:
        yield words, command, context
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                sub = command.get_command(context, name)
                assert sub is not None, name
                inner = click.Context(sub, info_name=name, parent=context)
                yield from below(f"{words} {name}", sub, inner)

    top = click.Context(
        root, info_name="sojourn", terminal_width=HELP_COLUMNS, **root.context_settings
    )
    yield from below("sojourn", root, top)


def command_line() -> str:
    """The help of every command."""
    parts = []
    for words, command, context in commands():
        help_text = "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
        parts.append(f"### `{words}`\n\n```text\n{help_text}\n```\n")
    return "\n".join(parts)


# --- putting it in place --------------------------------------------------------------------------

BLOCKS: dict[str, Callable[[], str]] = {
    "settings": library_settings,
    "server-settings": server_settings,
    "default-lives": default_lives,
    "preset-lives": preset_lives,
    "errors-refusals": lambda: errors_of(lambda k: issubclass(k, Refused) and not _is_of_server(k)),
    "errors-others": lambda: errors_of(
        lambda k: not issubclass(k, Refused) and not _is_of_server(k)
    ),
    "errors-server": lambda: errors_of(_is_of_server),
    "audit-actions": lambda: where(audit_actions(), "Action"),
    "feed-kinds": feed_kinds,
    "feed-fields": feed_fields,
    "stream-events": lambda: where(stream_events(), "Event"),
    "decisions": decisions,
    "api": api_reference.reference,
    "cli": command_line,
}


def rendered(text: str) -> str:
    """Give a page with its generated blocks made anew."""
    return _BLOCK.sub(lambda block: f"{block[1]}\n{BLOCKS[block[2]]()}\n{block[3]}", text)


def blocks_in(text: str) -> list[str]:
    """Name the generated blocks of a page."""
    return [block[2] for block in _BLOCK.finditer(text)]


def stale_pages(folder: Path = DOCS) -> dict[Path, str]:
    """Find the pages that are not up to date, with what they should be."""
    pages = {page: page.read_text(encoding="utf-8") for page in sorted(folder.glob("*.md"))}
    return {page: new for page, text in pages.items() if (new := rendered(text)) != text}


def main() -> int:
    """Write, or check."""
    parser = argparse.ArgumentParser(description="Write the generated parts of docs/.")
    parser.add_argument("--check", action="store_true", help="change nothing; fail where stale")
    is_check = parser.parse_args().check
    stale = stale_pages()
    for page, text in stale.items():
        name = page.relative_to(ROOT)
        if is_check:
            print(f"{name} is stale; run: python tools/references.py", file=sys.stderr)
        else:
            page.write_text(text, encoding="utf-8")
            print(f"wrote {name}")
    return 1 if is_check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
