#!/usr/bin/env bash
# Trains PAtt-Lite on drawn faces: no data needed, a few minutes on a CPU.
# Usage: launch/quickstart.sh [--config.FIELD=VALUE ...]
set -euo pipefail
cd "$(dirname "$0")/.."
source launch/environment.sh

python -m pattlite_jax.main --config configs/synthetic.py "$@"

cat <<'NEXT'

That was a whole run, from data to scores. Next:

  Train on real faces (docs/data.md says where to get them):
    python -m pattlite_jax.main --config=configs/fer2013.py \
      --config.data.dir=<folder of fer2013.csv>
  See what a run can be told:
    python -m pattlite_jax.main --help
  Use a network that the package brings, in Python:
    pattlite_jax.load("ferplus")(face)  # uint8 pixels to probabilities
NEXT
