#!/usr/bin/env bash
# What wants a GPU: the benchmark, and the recipes of the table "best" on packed
# data sets (python -m pattlite_jax.pack), which need no TensorFlow.
# Resumes; leaves results/bench_gpu.json and results/best/.
# Usage: [INSTALL=no] launch/gpu.sh FER2013.npz FERPLUS_ARGMAX.npz \
#   [--config.FIELD=VALUE ...]; "" for a file leaves its data set out.
set -euo pipefail
cd "$(dirname "$0")/.."
if [[ $# -lt 2 ]]; then
  sed -n '/^# Usage/,/^[^#]/s/^# //p' "$0" >&2
  exit 2
fi
overrides=("${@:3}")
# shellcheck source=/dev/null
source launch/environment.sh

# train CONFIG NAME PACKED SEED
train() {
  local run="best/$2_seed$4"
  if [[ -z "$3" ]]; then
    return
  fi
  if [[ -s "results/$run.json" ]]; then
    echo "done     results/$run.json"
    return
  fi
  python -m pattlite_jax.main "--config=configs/$1.py" "--config.seed=$4" \
    "--config.workdir=runs/$run" "--config.data.packed=$3" \
    --config.steps_per_dispatch=16 "${overrides[@]}"
  mkdir -p results/best
  cp "runs/$run/result.json" "results/$run.json"
}

if [[ ! -s results/bench_gpu.json ]]; then
  launch/benchmark.sh gpu
fi
for seed in 0 1 2; do
  train fer2013_best fer2013 "$1" "$seed"
  train ferplus_best ferplus_argmax "$2" "$seed"
done
