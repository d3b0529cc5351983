# Sourced by each example's run: what the examples share is importable, and data is kept in .sojourn.
export PYTHONPATH="$PWD/src:$PWD/examples"
export PORT="${PORT:-8000}"
export NOTES_DATABASE="${NOTES_DATABASE:-$PWD/.sojourn/notes.db}"
mkdir -p "$(dirname "$NOTES_DATABASE")"
