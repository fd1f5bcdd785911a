#!/usr/bin/env bash
# Runs the tests that take minutes together; -m "not long" adds the slow ones,
# kills, hosts and whole runs, and -m "slow or not slow" those that take longest.
# Usage: launch/test.sh [pytest arguments]
set -euo pipefail
cd "$(dirname "$0")/.."
EXTRAS="test${EXTRAS:+,$EXTRAS}"
source launch/environment.sh
# What XLA compiled is kept for the next run, a week long.
compiled="${JAX_COMPILATION_CACHE_DIR:-$PWD/.pytest_cache/compiled}"
mkdir -p "$compiled"
find "$compiled" -type f -mtime +7 -delete
export JAX_COMPILATION_CACHE_DIR="$compiled"

# Two cores have work for three workers, as some wait for disks and processes.
# A worker that crashes is not replaced: pytest-xdist 3.8 would then wait for
# ever for files that it had ended before.
python -m pytest --numprocesses 3 --dist loadfile --max-worker-restart=0 \
  --no-loadscope-reorder --quiet -m "not slow" "$@"
