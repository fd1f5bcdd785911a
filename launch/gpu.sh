#!/usr/bin/env bash
# What wants a GPU: the benchmark, and the recipes of the table "best" on packed
# data sets (python -m pattlite_jax.pack), which need no TensorFlow.
# Resumes; leaves results/bench_gpu.json and results/best/.
# Usage: [INSTALL=no] launch/gpu.sh FER2013.npz [FERPLUS_ARGMAX.npz]
set -euo pipefail
cd "$(dirname "$0")/.."
if [[ $# -lt 1 || $# -gt 2 ]]; then
  echo "Usage: [INSTALL=no] launch/gpu.sh FER2013.npz [FERPLUS_ARGMAX.npz]" >&2
  exit 2
fi
# shellcheck source=/dev/null
source launch/environment.sh

# train CONFIG NAME PACKED SEED
train() {
  local run="best/$2_seed$4"
  if [[ -s "results/$run.json" ]]; then
    echo "done     results/$run.json"
    return
  fi
  python -m pattlite_jax.main "--config=configs/$1.py" "--config.seed=$4" \
    "--config.workdir=runs/$run" "--config.data.packed=$3" \
    --config.steps_per_dispatch=16
  mkdir -p results/best
  cp "runs/$run/result.json" "results/$run.json"
}

if [[ ! -s results/bench_gpu.json ]]; then
  launch/benchmark.sh gpu
fi
for seed in 0 1 2; do
  train fer2013_best fer2013 "$1" "$seed"
  if [[ -n "${2:-}" ]]; then
    train ferplus_best ferplus_argmax "$2" "$seed"
  fi
done
