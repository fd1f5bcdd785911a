#!/usr/bin/env bash
# What wants a GPU: the benchmark, the long trainings of the table "best", and the
# table "methods", on packed data sets (python -m pattlite_jax.pack), which need no
# TensorFlow. Resumes; leaves results/bench_gpu.json, results/best/ and
# results/methods/.
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

# train TABLE ROW PACKED [--config.FIELD=VALUE ...]
# Attention and sharing over a batch are scored on the split that all rows have.
train() {
  if [[ -n "$3" ]]; then
    launch/table.sh "$1" "--rows=$2" --scored_split=validation \
      "--config.data.packed=$3" \
      --config.steps_per_dispatch=8 --config.checkpoint_every_steps=0 "${@:4}"
  fi
}

# beside TABLE "ROW ..." FER2013.npz FERPLUS_ARGMAX.npz [--config.FIELD=VALUE ...]
# Trains those of these rows that have data beside each other: a GPU's program
# takes minutes to compile, but seconds an epoch.
beside() {
  local row packed job jobs="" status=0
  for row in $2; do
    packed="$3"
    if [[ "$row" == *ferplus* ]]; then packed="$4"; fi
    train "$1" "$row" "$packed" "${@:5}" &
    jobs="$jobs $!"
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
beside best \
  "fer2013_whole fer2013_long ferplus_argmax_whole ferplus_argmax_long" "$@"
beside best "fer2013_student ferplus_argmax_student" "$@"
# With wrong labels a method's program is that of the right ones, compiled before.
beside methods "baseline pattlite eac arm dan apvit" "$@"
beside methods \
  "cbam_rul ldam_focal label_correction pattlite_batch arm_batch" "$@"
beside methods \
  "baseline_noisy pattlite_noisy eac_noisy cbam_rul_noisy label_correction_noisy" \
  "$@"
beside methods \
  "baseline_ferplus pattlite_ferplus eac_ferplus arm_ferplus dan_ferplus" "$@"
beside methods \
  "apvit_ferplus cbam_rul_ferplus ldam_focal_ferplus label_correction_ferplus" \
  "$@"
