#!/usr/bin/env bash
# What wants a GPU: the benchmark, and the long trainings of the table "best" on
# packed data sets (python -m pattlite_jax.pack), which need no TensorFlow.
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
# Rows that train beside each other share the GPU's memory.
export XLA_PYTHON_CLIENT_PREALLOCATE=false

# train ROWS PACKED [--config.FIELD=VALUE ...]
train() {
  if [[ -n "$2" ]]; then
    launch/table.sh best "--rows=$1" "--config.data.packed=$2" \
      --config.steps_per_dispatch=8 --config.checkpoint_every_steps=0 "${@:3}"
  fi
}

# Trains those of these rows that have data beside each other: a GPU's program
# takes minutes to compile, but seconds an epoch.
beside() {
  local row packed job jobs status=0
  for row in $1; do
    packed="$3"
    if [[ "$row" == fer2013_* ]]; then packed="$2"; fi
    train "$row" "$packed" "${@:4}" &
    jobs="${jobs:-} $!"
  done
  for job in $jobs; do
    wait "$job" || status=$?  # The others go on.
  done
  return "$status"
}

if [[ ! -s results/bench_gpu.json ]]; then
  launch/benchmark.sh gpu
fi
# shellcheck source=/dev/null
source launch/environment.sh  # Once, not by each of the rows.
beside "fer2013_whole fer2013_long ferplus_argmax_whole ferplus_argmax_long" "$@"
beside "fer2013_student ferplus_argmax_student" "$@"
