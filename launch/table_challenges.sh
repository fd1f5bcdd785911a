#!/usr/bin/env bash
# RAN's challenge subsets: occlusion, pose > 30 and > 45 of FER+ and RAF-DB.
# Resumes. Usage: launch/table_challenges.sh [--dry-run] [--config.FIELD=VALUE ...]
set -euo pipefail
cd "$(dirname "$0")/.."
source launch/environment.sh
source launch/table.sh

run_table challenges "$@"
