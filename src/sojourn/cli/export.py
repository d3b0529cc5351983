"""`sojourn export`: everything that is kept, as JSON lines; the door out."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from sojourn.cli.commands import command, configured
from sojourn.cli.files import PRIVATE
from sojourn.cli.output import Output, as_json
from sojourn.cli.place import Place, with_server
from sojourn.cli.progress import Progress

if TYPE_CHECKING:
    from sojourn.server.app import Server


@command(
    "export",
    "sojourn export --output sojourn.jsonl",
    "sojourn export | jq -c 'select(.kind == \"account\")' > users.jsonl",
    "sojourn export | jq -r 'select(.kind == \"session\") | [.subject, .sid] | @tsv'",
)
@configured
@click.option(
    "--output", "file", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path),
    help="Write there, readable by you alone, instead of to stdout; must not exist yet.",
)  # fmt: skip
def export(output: Output, *, place: Place, file: Path | None) -> None:
    """Write everything that is kept, one JSON object a line.

    Accounts with their password hashes, the audit trail, and the live sessions of every subject
    with their data. Not in it is whatever could be used: seeds, signing keys, the server secret.
    Accounts are taken elsewhere by: sojourn users import.
    """
    from sojourn.cli.export_lines import all_lines

    counts: dict[str, int] = {}

    async def act(server: Server) -> None:
        async for line in all_lines(server):
            stream.write(as_json(line) + "\n")
            counts[line["kind"]] = counts.get(line["kind"], 0) + 1
            progress.step()

    with Progress(output) as progress, _opened(file) as stream:
        with_server(place, act)
    del counts["export"]
    if file is not None:
        facts: dict[str, Any] = {"file": str(file), **counts}
        output.facts(facts, facts)
    output.say(", ".join(f"{count:,} {kind}" for kind, count in counts.items()) or "nothing")


@contextmanager
def _opened(file: Path | None) -> Iterator[IO[str]]:
    """Give stdout, or a private file that is there under its name only when it is whole.

    Raises:
        FileExistsError: There is such a file.
    """
    if file is None:
        yield sys.stdout
        return
    draft = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
    draft.touch(mode=PRIVATE, exist_ok=False)
    try:
        draft.chmod(PRIVATE)  # whatever the umask
        with draft.open("w", encoding="utf-8") as stream:
            yield stream
        file.hardlink_to(draft)
    finally:
        draft.unlink()
