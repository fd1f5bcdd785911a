#!/usr/bin/env bash
# Trains PAtt-Lite on drawn faces: no data needed, a few minutes on a CPU.
# Usage: launch/quickstart.sh [--config.FIELD=VALUE ...]
set -euo pipefail
cd "$(dirname "$0")/.."
source launch/environment.sh

python -m pattlite_jax.main --config configs/synthetic.py "$@"

cat <<'NEXT'

Next, on real faces (docs/data.md says where to get them):
  python -m pattlite_jax.main --config configs/fer2013.py \
    --config.data.dir=<folder of fer2013.csv>
NEXT
