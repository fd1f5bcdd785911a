#!/usr/bin/env bash
# Runs the tests in a fresh environment with the lowest versions that
# pyproject.toml allows. Usage: launch/lowest_versions.sh [pytest arguments]
set -euo pipefail
cd "$(dirname "$0")/.."
# Packages of that age have no wheels for a newer Python.
if ! python3.11 -c 'import venv, ensurepip' 2>/dev/null; then
  echo "No Python 3.11, the lowest allowed, with venv found on the PATH." >&2
  exit 1
fi
environment="$(mktemp -d)"
trap 'rm -rf "$environment"' EXIT
python3.11 -m venv "$environment"
# shellcheck source=/dev/null
source "$environment/bin/activate"

echo "Installing the lowest versions (a few minutes)."
python -m pip install -qq --disable-pip-version-check uv
# Lowest for what pyproject.toml names itself; what those need is the newest.
uv pip install --quiet --resolution lowest-direct --editable ".[test]"
uv pip list

python -m pytest --numprocesses 2 --quiet "$@"
