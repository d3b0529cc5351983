# Sourced by each example's run: what the examples share is importable, and data is kept in .sojourn.
export PYTHONPATH="$PWD/src:$PWD/examples"
export NOTES_DATABASE="${NOTES_DATABASE:-.sojourn/notes.db}"
mkdir -p "$(dirname "$NOTES_DATABASE")"
