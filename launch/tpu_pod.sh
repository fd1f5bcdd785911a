#!/usr/bin/env bash
# Trains on a Cloud TPU pod slice: gets it or uses the one there is, copies this
# repository's last commit, runs on every worker, follows the first worker's
# log, and starts again from the last checkpoint whenever the TPU is taken away.
# Usage: launch/tpu_pod.sh NAME --zone=ZONE [OPTIONS] -- --config=FILE \
#          --config.workdir=gs://BUCKET/FOLDER [--config.FIELD=VALUE ...]
#   --accelerator=TYPE  v5litepod-16 (default), v5p-16, v6e-16, ...
#   --runtime=VERSION   of the TPU's software; by default that of the TYPE
#   --project=PROJECT   by default gcloud's own
#   --data=FOLDER       is copied to every worker, as config.data.dir
#   --spot              cheaper, but taken away at any time
#   --check             first compiles the programs for the TYPE, on this machine
#                       and in minutes, and stops unless they fit
#   --dry-run           prints the commands and runs none
# Example: launch/tpu_pod.sh faces --zone=us-east1-d --accelerator=v6e-16 \
#   --spot --data=data/fer2013 -- --config=configs/fer2013.py \
#   --config.workdir=gs://my-bucket/fer2013 --config.batch_size=64
# It needs gcloud, signed in. Start it again to follow a run that goes on.
set -euo pipefail

usage() {
  sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p;}' "$0"
}

stop() {
  echo "launch/tpu_pod.sh: $1" >&2
  exit 2
}

name="" zone="" accelerator=v5litepod-16 runtime="" project="" data=""
spot=() check=false dry_run=false
while [[ $# -gt 0 ]]; do
  case "$1" in
    -h | --help) usage; exit ;;
    --zone=*) zone="${1#*=}" ;;
    --accelerator=*) accelerator="${1#*=}" ;;
    --runtime=*) runtime="${1#*=}" ;;
    --project=*) project="${1#*=}" ;;
    --data=*) data="${1#*=}" ;;
    --spot) spot=(--spot) ;;
    --check) check=true ;;
    --dry-run) dry_run=true ;;
    --) shift; break ;;
    -*) stop "unknown option $1 (flags of the training stand after --)." ;;
    *) [[ -z "$name" ]] || stop "two names: $name and $1."; name="$1" ;;
  esac
  shift
done
[[ -n "$name" && -n "$zone" ]] || { usage >&2; exit 2; }
[[ " $*" == *" --config.workdir=gs://"* ]] || stop \
  "pass -- --config.workdir=gs://...: workers share no disk, and lose theirs."
arguments=("$@")
[[ -z "$data" ]] || arguments+=("--config.data.dir=../$(basename "$data")")
if [[ -z "$runtime" ]]; then
  case "$accelerator" in
    v5litepod-*) runtime=v2-alpha-tpuv5-lite ;;
    v5p-*) runtime=v2-alpha-tpuv5 ;;
    v6e-*) runtime=v2-alpha-tpuv6e ;;
    *) runtime=tpu-ubuntu2204-base ;;
  esac
fi
cd "$(dirname "$0")/.."

gcloud_tpu() {  # group, verb and the rest of `gcloud compute tpus`
  local command=(gcloud compute tpus "$@" --zone="$zone")
  [[ -z "$project" ]] || command+=(--project="$project")
  if "$dry_run"; then
    printf '%q ' ${command[@]+"${command[@]}"}
    echo
  else
    ${command[@]+"${command[@]}"}
  fi
}

on_workers() {  # worker, command
  gcloud_tpu tpu-vm ssh "$name" --worker="$1" --command="$2"
}

state() {  # of the queued resource; nothing if there is none
  gcloud_tpu queued-resources describe "$name" --format="value(state.state)" \
    2>/dev/null || true
}

compile() {
  local command=(
    python -m pattlite_jax.compile --topology="$accelerator"
    ${arguments[@]+"${arguments[@]}"}
  )
  if "$dry_run"; then
    printf '%q ' ${command[@]+"${command[@]}"}
    echo
    return
  fi
  (
    export EXTRAS=tpu_check
    source launch/environment.sh
    ${command[@]+"${command[@]}"}
  ) || stop "the programs do not fit $accelerator; nothing was created."
}

create() {
  gcloud_tpu queued-resources create "$name" --node-id="$name" \
    --accelerator-type="$accelerator" --runtime-version="$runtime" \
    ${spot[@]+"${spot[@]}"}
}

get_tpu() {
  if "$dry_run"; then
    state
    create
    return
  fi
  local now
  while true; do
    now="$(state)"
    echo "TPU $name: ${now:-not there}"
    case "$now" in
      ACTIVE) return ;;
      "") create ;;
      FAILED) stop "no TPU; gcloud compute tpus queued-resources describe \
$name --zone=$zone says why, 'delete' in place of 'describe' clears it." ;;
      SUSPENDED) # It was taken away.
        gcloud_tpu queued-resources delete "$name" --force --quiet
        continue
        ;;
    esac
    sleep "${POLL_SECONDS:-30}"
  done
}

start() {
  local folder worker
  folder="$(mktemp -d)"
  git bundle create --quiet "$folder/pattlite_jax.bundle" HEAD
  gcloud_tpu tpu-vm scp "$folder/pattlite_jax.bundle" "$name:" --worker=all \
    || return
  rm -r "$folder"
  if [[ -n "$data" ]]; then
    gcloud_tpu tpu-vm scp --recurse "$data" "$name:" --worker=all || return
  fi
  printf -v worker ' %q' launch/tpu_worker.sh start \
    ${arguments[@]+"${arguments[@]}"}
  on_workers all "git init -q pattlite_jax && cd pattlite_jax && \
git fetch -q ../pattlite_jax.bundle HEAD && git checkout -qf FETCH_HEAD && \
bash$worker"
}

[[ -z "$(git status --porcelain --untracked-files=no)" ]] \
  || echo "Changes that are not committed stay behind." >&2
if "$check"; then
  compile
fi
status=""
until [[ -n "$status" ]]; do
  get_tpu
  # Any of these fails when the TPU is taken away meanwhile.
  if start; then
    on_workers 0 "bash pattlite_jax/launch/tpu_worker.sh follow" || true
    status="$(on_workers 0 "bash pattlite_jax/launch/tpu_worker.sh status")" \
      || status=""
  fi
  if "$dry_run"; then
    echo "$status"
    exit
  fi
  [[ "$status" == 0 ]] || sleep "${POLL_SECONDS:-30}"
  if [[ -n "$status" && "$status" != 0 && "$(state)" != ACTIVE ]]; then
    status="" # The run ended because its hosts did.
  fi
done
echo "The run ended with status $status, its log is runs/pod.log of worker 0."
echo "The TPU is still there and costs. To delete it:"
echo "  gcloud compute tpus queued-resources delete $name --zone=$zone --force"
exit "$status"
