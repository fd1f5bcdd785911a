# Sourced by launch/table_*.sh.
# shellcheck shell=bash

# run_table NAME [--dry-run] [--scored_split=SPLIT] [--config.FIELD=VALUE ...]
run_table() {
  local options=(--table "$1") overrides=()
  for argument in "${@:2}"; do
    case "$argument" in
      --dry-run) options+=(--dry_run) ;;
      --config.*) overrides+=("$argument") ;;
      *) options+=("$argument") ;;
    esac
  done
  python -m pattlite_jax.report.run "${options[@]}" -- "${overrides[@]}"
}
