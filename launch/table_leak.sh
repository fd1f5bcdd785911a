#!/usr/bin/env bash
# What mixing test images does: modes x orders x batch sizes on FER2013.
# Resumes. Usage: launch/table_leak.sh [--dry-run] [--config.FIELD=VALUE ...]
set -euo pipefail
cd "$(dirname "$0")/.."
source launch/environment.sh
source launch/table.sh

run_table leak "$@"
