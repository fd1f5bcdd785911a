#!/usr/bin/env bash
# Makes pattlite_jax/predict/detection/blazeface_full_range.onnx from MediaPipe's
# TFLite file. Needs npm and the package index; leaves no environment behind.
# Usage: launch/detector.sh [OUT.onnx]
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
out=${1:-pattlite_jax/predict/detection/blazeface_full_range.onnx}
[[ "$out" == /* ]] || out="$root/$out"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm pack --silent @mediapipe/face_detection@0.4.1657300184
tar xzf mediapipe-face_detection-*.tgz
tflite=package/face_detection_full_range.tflite
echo "99bf9494d84f50acc6617d89873f71bf6635a841ea699c17cb3377f9507cfec3  $tflite" |
  shasum -a 256 -c
"${PYTHON:-python3}" -m venv environment
environment/bin/pip install --quiet \
  tf2onnx==1.17.0 onnx==1.23.2 tensorflow==2.21.0
environment/bin/python -m tf2onnx.convert --tflite "$tflite" \
  --output float32.onnx --opset 17
environment/bin/python "$root/launch/detector.py" float32.onnx "$tflite" "$out"
