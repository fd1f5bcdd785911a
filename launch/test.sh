#!/usr/bin/env bash
# Runs the tests that take minutes together; -m "slow or not slow" adds the
# others: kills, hosts, whole runs. Usage: launch/test.sh [pytest arguments]
set -euo pipefail
cd "$(dirname "$0")/.."
EXTRAS="test${EXTRAS:+,$EXTRAS}"
source launch/environment.sh

python -m pytest --numprocesses 2 --dist loadfile \
  --no-loadscope-reorder --quiet -m "not slow" "$@"
