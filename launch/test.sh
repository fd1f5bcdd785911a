#!/usr/bin/env bash
# Runs the tests that take minutes together; -m "not long" adds the slow ones,
# kills, hosts and whole runs, and -m "slow or not slow" those that take longest.
# Usage: launch/test.sh [pytest arguments]
set -euo pipefail
cd "$(dirname "$0")/.."
EXTRAS="test${EXTRAS:+,$EXTRAS}"
source launch/environment.sh

python -m pytest --numprocesses 2 --dist loadfile \
  --no-loadscope-reorder --quiet -m "not slow" "$@"
