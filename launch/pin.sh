#!/usr/bin/env bash
# Does this tree compute, to the last bit, what the pinned revision does?
# Usage: launch/pin.sh [REVISION]
set -euo pipefail
cd "$(dirname "$0")/.."
pinned="$(mktemp -d)"
trap 'git worktree remove --force "$pinned"' EXIT
git worktree add --quiet --detach "$pinned" "${1:-dd866fe}"
script="$PWD/launch/pin.py"
(cd "$pinned" && PYTHONPATH="$PWD" python "$script") > "$pinned/before.txt"
PYTHONPATH="$PWD" python "$script" > "$pinned/after.txt"
cat "$pinned/after.txt"
diff "$pinned/before.txt" "$pinned/after.txt" && echo "Equal to the bit."
