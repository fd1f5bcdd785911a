#!/usr/bin/env bash
# The recipes for the best accuracy per image: FER2013 and FER+.
# Resumes. Usage: launch/table_best.sh [--dry-run] [--config.FIELD=VALUE ...]
set -euo pipefail
cd "$(dirname "$0")/.."
source launch/environment.sh
source launch/table.sh

run_table best "$@"
