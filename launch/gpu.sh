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
export EXTRAS="cuda${EXTRAS:+,$EXTRAS}"

# train ROWS PACKED [--config.FIELD=VALUE ...]
train() {
  if [[ -n "$2" ]]; then
    launch/table.sh best "--rows=$1" "--config.data.packed=$2" \
      --config.steps_per_dispatch=16 "${@:3}"
  fi
}

if [[ ! -s results/bench_gpu.json ]]; then
  launch/benchmark.sh gpu
fi
train fer2013,fer2013_taught,fer2013_160,fer2013_224 "$1" "${@:3}"
train ferplus_argmax,ferplus_argmax_224,ferplus_argmax_round2 "$2" "${@:3}"
if [[ -n "$2" ]]; then  # It starts from the network of FER+.
  train fer2013_from_ferplus "$1" "${@:3}"
fi
