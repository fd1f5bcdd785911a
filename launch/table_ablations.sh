#!/usr/bin/env bash
# Ablations on FER2013: attention, depth of the trunk, a trained trunk.
# Resumes. Usage: launch/table_ablations.sh [--dry-run] [--config.FIELD=VALUE ...]
set -euo pipefail
cd "$(dirname "$0")/.."
source launch/environment.sh
source launch/table.sh

run_table ablations "$@"
