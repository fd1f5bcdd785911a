#!/usr/bin/env bash
# Runs the rows of a table of docs/results.md: best, ingredients, heads, batches,
# main, leak, challenges, ablations, methods or peers. Finished rows are not run
# again.
# Usage: launch/table.sh NAME [--rows=A,B] [--seed=N] [--scored_split=SPLIT]
#   [--dry-run] [--config.FIELD=VALUE ...]
# No FIELD may be one that tells the rows apart: --seed=N chooses the seeds.
set -euo pipefail
cd "$(dirname "$0")/.."
if [[ $# -lt 1 || "$1" == -* ]]; then
  sed -n '/^# Usage/,/^[^#]/s/^# //p' "$0" >&2
  exit 2
fi
options=("--table=$1") overrides=()
for argument in "${@:2}"; do
  case "$argument" in
    --dry-run) options+=(--dry_run) ;;
    --config.*) overrides+=("$argument") ;;
    *) options+=("$argument") ;;
  esac
done
if [[ "$1" == peers ]]; then
  export EXTRAS="video${EXTRAS:+,$EXTRAS}"
fi
# shellcheck source=/dev/null
source launch/environment.sh

if [[ "$1" == peers && "$*" != *--dry-run* && "${INSTALL:-yes}" != no ]]; then
  launch/peers.sh
fi
python -m pattlite_jax.report.run ${options[@]+"${options[@]}"} -- \
  ${overrides[@]+"${overrides[@]}"}
