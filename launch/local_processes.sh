#!/usr/bin/env bash
# Runs a command as N hosts on this machine: the way to try a multi-host run,
# its preflight and its end when a host dies, without any cluster.
# Usage: launch/local_processes.sh N -- COMMAND [ARGUMENT ...]
#   launch/local_processes.sh 2 -- python -m pattlite_jax.main \
#     --config configs/synthetic.py
# Each line is printed after the number of its host. On a CPU,
# XLA_FLAGS=--xla_force_host_platform_device_count=D gives each host D devices.
set -euo pipefail

usage() {
  sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p;}' "$0"
}

numbered() {  # number of the host
  while IFS= read -r line || [[ -n "$line" ]]; do
    printf '[%s] %s\n' "$1" "$line"
  done
}

if [[ "${1:-}" == --help || "${1:-}" == -h ]]; then
  usage
  exit 0
fi
if [[ $# -lt 3 || ! "$1" =~ ^[1-9][0-9]*$ || "$2" != -- ]]; then
  usage >&2
  exit 2
fi
num_processes="$1"
shift 2

port="$(python3 -c 'import socket
with socket.socket() as s:
  s.bind(("localhost", 0))
  print(s.getsockname()[1])')"
pids=()
# Without job control, children of a script ignore Ctrl-C: pass it on.
trap 'kill ${pids[@]+"${pids[@]}"} 2>/dev/null || true' INT TERM
for ((i = 0; i < num_processes; i++)); do
  "$@" --distributed --coordinator_address="localhost:$port" \
    --num_processes="$num_processes" --process_id="$i" \
    > >(numbered "$i") 2> >(numbered "$i" >&2) &
  pids+=("$!")
done
status=0
for pid in ${pids[@]+"${pids[@]}"}; do
  wait "$pid" || status="$?"
  # A signal ends the wait before the process.
  while kill -0 "$pid" 2>/dev/null; do
    wait "$pid" || status="$?"
  done
done
exit "$status"
