#!/usr/bin/env bash
# Times PAtt-Lite against its peers and writes results/bench_gpu.{json,png}, or
# bench_cpu_<its widest vectors>: avx2, avx512f, or the machine's name.
# Usage: launch/benchmark.sh cpu|gpu [flags of pattlite_jax.benchmark]
set -euo pipefail
cd "$(dirname "$0")/.."
device="${1:-}"
shift || true
case "$device" in
  cpu)
    flags=("--what=forward,train_step,input,startup,recipe")
    kind="$(uname -m)"
    for vectors in avx2 avx512f; do
      if grep -qsw "$vectors" /proc/cpuinfo; then
        kind="$vectors"
      fi
    done
    device="cpu_$kind"
    ;;
  gpu)
    flags=(
      "--what=forward,train_step" "--batch_sizes=8,64,512,1024" --dtype=bfloat16
      "--peers=torch,torch_compile" --steps_per_dispatch=16
    )
    ;;
  *)
    echo "Usage: launch/benchmark.sh cpu|gpu [flags of the benchmark]" >&2
    exit 2
    ;;
esac
EXTRAS="bench${EXTRAS:+,$EXTRAS}"
# shellcheck source=/dev/null
source launch/environment.sh

if [[ "$device" == gpu ]]; then
  python -c 'import jax; assert jax.default_backend() == "gpu", jax.devices()'
fi
python -m pattlite_jax.benchmark ${flags[@]+"${flags[@]}"} \
  --json="results/bench_$device.json" --png="results/bench_$device.png" "$@"
