"""The command line: `sojourn serve`, and what its operator does beside it.

Data goes to stdout, chatter to stderr. Everything heavy is imported by the command that needs it.
"""

from __future__ import annotations

import os
import sys

NEEDS_EXTRA = "the sojourn command needs more packages: pip install 'sojourn[server]'"
EXIT_CONFIGURATION = 3


def main() -> None:
    """Run the command of `sys.argv`; the entry point of the `sojourn` script."""
    try:
        from sojourn.cli.root import root
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"click", "rich"}:
            raise
        print(NEEDS_EXTRA, file=sys.stderr)
        sys.exit(EXIT_CONFIGURATION)
    os.umask(0o077)  # whatever a command writes is its owner's alone
    root.main(prog_name="sojourn")
