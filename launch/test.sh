#!/usr/bin/env bash
# Runs the tests. Usage: launch/test.sh [pytest arguments]
set -euo pipefail
cd "$(dirname "$0")/.."
source launch/environment.sh test

python -m pytest --numprocesses 2 --quiet "$@"
