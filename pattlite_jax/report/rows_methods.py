"""Rows of the bench of methods: one trunk, one recipe, one budget."""

from collections.abc import Mapping
from typing import Any

from pattlite_jax.report.row import BATCH_SCORINGS, Row

CONFIG = "configs/fer2013_bench.py"
STEP_TIMES = "step_times"  # The file of results/methods with the steps' times.
BASELINE = "baseline"
# How the data of a group of rows is named, and their fields.
CLEAN = "FER2013"
DATA: Mapping[str, Mapping[str, Any]] = {
  CLEAN: {},
  "FER+ (argmax)": {
    "data.name": "ferplus/argmax",
    "data.dir": "data/ferplus",
  },
  "FER2013, 20 % of the training labels wrong": {"data.label_noise": 0.2},
}
# What each differs in from the recipe. Heads that would cost more than twice
# the trunk are smaller than their papers'.
VARIANTS: Mapping[str, Mapping[str, Any]] = {
  BASELINE: {},
  "pattlite": {"method": "pattlite", "model.patch_stride": 1},
  "pattlite_batch": {
    "method": "pattlite",
    "model.patch_stride": 1,
    "model.attention": "batch",
  },
  "arm": {"method": "arm"},
  "arm_batch": {"method": "arm", "model.sharing": "batch"},
  "dan": {"method": "dan", "model.head_features": 64},
  "eac": {"method": "eac"},
  "apvit": {"method": "apvit", "model.width": 128, "model.heads": 4},
  "cbam_rul": {"method": "cbam_rul"},
  "ldam_focal": {"method": "ldam_focal"},
  "label_correction": {
    "method": "label_correction",
    "model.relabel_after_epochs": 3.0,
  },
}
_LABELS = {
  "pattlite_batch": "pattlite, attention over the batch",
  "arm_batch": "arm, sharing over the batch",
  "dan": "dan, 64 channels in a head",
  "apvit": "apvit, 128 features and 4 heads",
}
# Those that claim to help against wrong labels.
_AGAINST_NOISE = (BASELINE, "pattlite", "eac", "cbam_rul", "label_correction")
_SUFFIX = dict(zip(DATA, ("", "_ferplus", "_noisy"), strict=True))


def _row(variant: str, data: str, seeds: tuple[int, ...]) -> Row:
  as_published = variant.endswith("_batch")
  return Row(
    name=f"{variant}{_SUFFIX[data]}",
    label=_LABELS.get(variant, variant),
    config=CONFIG,
    overrides={**VARIANTS[variant], **DATA[data]},
    change=data,
    seeds=(0,) if as_published else seeds,
    audited=True,
    scorings=BATCH_SCORINGS if as_published else (),
    compared_with=f"{BASELINE}{_SUFFIX[data]}",
  )


# The baseline from another trunk's file, which has seen other faces. The README
# of pattlite_jax/weights says how to port it.
_FROM_DETECTOR = Row(
  name="baseline_detector",
  label="baseline, trunk of a face detector",
  config=CONFIG,
  overrides={"model.trunk_weights": "data/face_detector.safetensors"},
  change="FER2013, after WIDER FACE in place of ImageNet (other face data)",
  seeds=(0,),
  audited=True,
  compared_with=BASELINE,
)
_CLEAN, _FERPLUS, _NOISY = DATA
METHODS = (
  *(_row(variant, _CLEAN, (0, 1, 2)) for variant in VARIANTS),
  *(
    _row(variant, _FERPLUS, (0,))
    for variant in VARIANTS
    if not variant.endswith("_batch")
  ),
  *(_row(variant, _NOISY, (0,)) for variant in _AGAINST_NOISE),
  _FROM_DETECTOR,
)
