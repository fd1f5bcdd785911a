#!/usr/bin/env bash
# What wants a GPU: teachers and students of the table "best", the tables
# "methods" and "heads", then the benchmark, on packed data sets (python -m
# pattlite_jax.pack), which need no TensorFlow. Resumes; leaves results/best/,
# results/methods/, results/heads/ and results/bench_gpu.json. What has a result
# there is not trained again: for new students of teachers whose runs/ are gone,
# move the teachers' results away.
# Usage: [INSTALL=no] [WORKERS=N] launch/gpu.sh FER2013.npz FERPLUS_ARGMAX.npz \
#   [--config.FIELD=VALUE ...]; "" for a file leaves its data set out.
# WORKERS: how many rows of "methods" and "heads" train beside each other; default:
# a row for each processor core, but four.
set -euo pipefail
cd "$(dirname "$0")/.."
if [[ $# -lt 2 ]]; then
  sed -n '/^# Usage/,/^[^#]/s/^# //p' "$0" >&2
  exit 2
fi
export EXTRAS="cuda${EXTRAS:+,$EXTRAS}"
cores=$(getconf _NPROCESSORS_ONLN)
workers=${WORKERS:-$((cores > 5 ? cores - 4 : 1))}
# Rows that train beside each other share the GPU's memory.
export XLA_PYTHON_CLIENT_PREALLOCATE=false
# To compile and try variants of its kernels takes XLA longer than these trainings;
# what is left to choose are algorithms of cuDNN and cuBLAS.
export XLA_FLAGS="${XLA_FLAGS:-} --xla_gpu_autotune_level=1 \
--xla_gpu_experimental_enable_fusion_autotuner=false \
--xla_gpu_enable_triton_gemm=false"

# train TABLE ROW:SEED FER2013.npz FERPLUS_ARGMAX.npz [--config.FIELD=VALUE ...]
# Attention and sharing over a batch are scored on the split that all rows have.
# Several steps a dispatch change no result; a GPU waits less for the host.
train() {
  local row="${2%:*}" packed="$3"
  if [[ "$row" == *ferplus* ]]; then packed="$4"; fi
  if [[ -n "$packed" ]]; then
    launch/table.sh "$1" "--rows=$row" "--seed=${2#*:}" --scored_split=validation \
      "--config.data.packed=$packed" \
      --config.checkpoint_every_steps=0 --config.steps_per_dispatch=8 "${@:5}"
  fi
}
export -f train

# beside WORKERS TABLE "ROW:SEED ..." FER2013.npz FERPLUS_ARGMAX.npz [...]
# Trains these rows that have data, so many beside each other: a program takes a
# core half a minute to compile, and a GPU has room for several small networks.
# Where one fails, the others go on.
beside() {
  xargs -n 1 <<< "$3" | xargs -P "$1" -I '{}' \
    bash -c 'train "$@"' train "$2" '{}' "${@:4}" || return 1
}

# each SEED SUFFIX "ROW ...": ROWSUFFIX:SEED of each of these rows.
each() {
  local row
  for row in $3; do
    printf '%s ' "$row$2:$1"
  done
}

best() {
  local sets="fer2013 ferplus_argmax"
  beside 7 best "$(each 4 _whole "$sets") $(each 5 _whole "$sets")
    $(each 6 _whole "$sets") $(each 7 _whole fer2013)" "$@"
  beside 8 best "$(each 0 _student_long "$sets")
    $(each 1 _student_long "$sets") $(each 2 _student_long "$sets")
    $(each 1 _student_wide "$sets")" "$@"
}

# With other seeds or wrong labels a method's program is that of its first row,
# which is compiled by then.
methods() {
  local honest="eac baseline pattlite arm dan apvit cbam_rul ldam_focal"
  honest="$honest label_correction"
  local against_noise="baseline pattlite eac cbam_rul label_correction"
  beside "$workers" methods "$(each 0 _batch "pattlite arm")
    $(each 0 "" "$honest") $(each 0 _ferplus "$honest")
    $(each 0 _noisy "$against_noise")
    $(each 1 "" "$honest") $(each 2 "" "$honest")" \
    "$@" --config.model.dtype=bfloat16  # As the rows of "best".
}

# In float32, as rows that a CPU has trained.
heads() {
  local kinds="token scaled none patch_norm scaled_patch_norm none_patch_norm"
  local all="$kinds pointwise_9 at_112 native"
  local ferplus="$kinds pointwise_9 adjusted_05 adjusted_10"
  beside "$workers" heads "$(each 0 "" "$all") $(each 0 _ferplus "$ferplus")
    $(each 1 "" "$all") $(each 1 _ferplus "$ferplus")" "$@"
}

# shellcheck source=/dev/null
source launch/environment.sh  # Once, not by each of the rows.
best "$@" &
best=$!
{
  status=0
  methods "$@" || status=$?
  heads "$@" || status=$?
  exit "$status"
} &
tables=$!
status=0
wait "$best" || status=$?
wait "$tables" || status=$?
if ((status)); then
  exit "$status"
fi
if [[ ! -s results/bench_gpu.json ]]; then
  XLA_FLAGS="" launch/benchmark.sh gpu
fi
