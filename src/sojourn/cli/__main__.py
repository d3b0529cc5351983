"""Lets ``python -m sojourn.cli`` be the `sojourn` command."""

from sojourn.cli import main

main()
