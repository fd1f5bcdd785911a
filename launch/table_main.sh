#!/usr/bin/env bash
# The main results: FER2013, FER+ with both rules, RAF-DB, CK+.
# Resumes. Usage: launch/table_main.sh [--dry-run] [--config.FIELD=VALUE ...]
set -euo pipefail
cd "$(dirname "$0")/.."
source launch/environment.sh
source launch/table.sh

run_table main "$@"
