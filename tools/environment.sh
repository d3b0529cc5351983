# Sourced by ./run and ./test: makes .venv beside this tree with what is pinned in constraints.txt.
# Defines $python. Works on Debian and macOS with Python 3.11 or newer, as root or not.

find_python() {
  local name
  for name in "${SOJOURN_PYTHON:-}" python3 python3.11 python3.12 python3.13 python3.14; do
    [ -n "$name" ] && command -v "$name" >/dev/null 2>&1 || continue
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$name"
      return 0
    fi
  done
  echo "Python 3.11 or newer is needed and was not found; install it, or name it in SOJOURN_PYTHON" >&2
  return 3
}

# prepare_environment EXTRAS: installs the dependencies of this project with these extras.
prepare_environment() {
  local extras=$1 base stamp
  python="$PWD/.venv/bin/python"
  for stamp in "$PWD/.venv/.sojourn-dev" "$PWD/.venv/.sojourn-$extras"; do  # dev has them all
    if [ -x "$python" ] && [ -f "$stamp" ] && [ "$stamp" -nt constraints.txt ] && [ "$stamp" -nt pyproject.toml ]; then
      return 0
    fi
  done
  base=$(find_python) || return 3
  if [ ! -x "$python" ]; then
    if command -v uv >/dev/null 2>&1; then
      uv venv --quiet --seed --python "$base" .venv
    elif ! "$base" -m venv .venv 2>/dev/null; then
      rm -rf .venv
      echo "$base cannot make a virtual environment; on Debian: apt install python3-venv" >&2
      return 3
    fi
  fi
  echo "installing dependencies (once) ..." >&2
  "$python" -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
    "hatchling" "editables" || return 4
  "$python" -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
    --no-build-isolation --editable ".[$extras]" || return 4
  touch "$stamp"
}
