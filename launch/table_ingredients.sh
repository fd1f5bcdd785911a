#!/usr/bin/env bash
# What each ingredient of configs/fer2013_best.py is worth, in five epochs each at
# 56 pixels (attention: at 64).
# Resumes. Usage: launch/table_ingredients.sh [--dry-run] [--config.FIELD=VALUE ...]
set -euo pipefail
cd "$(dirname "$0")/.."
source launch/environment.sh
source launch/table.sh

run_table ingredients "$@"
