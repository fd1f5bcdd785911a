#!/usr/bin/env bash
# Runs on a worker of a TPU pod; launch/tpu_pod.sh copies it there and calls it.
# Usage: launch/tpu_worker.sh start [flags of pattlite_jax.main]  in the
#          background, unless it runs already
#        launch/tpu_worker.sh run [flags]   installs and trains
#        launch/tpu_worker.sh follow        prints the log until the run ends
#        launch/tpu_worker.sh status        prints its exit status, if it ended
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p runs
log=runs/pod.log pid_file=runs/pod.pid status_file=runs/pod.status

case "${1:-}" in
  start)
    if [[ -e "$pid_file" ]] && kill -0 "$(< "$pid_file")" 2> /dev/null; then
      echo "The run goes on."
      exit
    fi
    rm -f "$status_file"
    (
      trap '' HUP # The end of this ssh session must not stop the run.
      status=0
      bash launch/tpu_worker.sh run "${@:2}" || status="$?"
      echo "$status" > "$status_file"
    ) > "$log" 2>&1 < /dev/null &
    echo "$!" > "$pid_file"
    ;;
  run)
    # Runtimes on Ubuntu 22.04 bring Python 3.10, which JAX no longer takes.
    if ! command -v python3.11 python3.12 python3.13 > /dev/null; then
      sudo add-apt-repository -y ppa:deadsnakes/ppa
      sudo apt-get install -y -o DPkg::Lock::Timeout=600 python3.12-venv
    fi
    EXTRAS=tpu,gcs
    source launch/environment.sh
    python -m pattlite_jax.main --distributed "${@:2}"
    ;;
  follow)
    tail -n +1 -F "$log" 2> /dev/null &
    trap 'kill "$!"' EXIT
    while kill -0 "$(< "$pid_file")" 2> /dev/null; do
      sleep 1
    done
    sleep 1 # For the last lines.
    ;;
  status)
    if [[ -e "$status_file" ]]; then
      cat "$status_file"
    fi
    ;;
  *)
    sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p;}' "$0" >&2
    exit 2
    ;;
esac
