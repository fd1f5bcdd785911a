"""Rows of PAtt-Lite's heads, and of faces at their own size."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from pattlite_jax.report.row import Row

_AT_64 = {  # 4x4 features, and 2x2 patches, at a third of the work of 112.
  "model.image_size": 64,
  "model.patch_stride": 1,
  "stage1.epochs": 20,
}
_SCALED = {"model.scaled_attention": True}
_NONE = {"model.attention": "none"}
_NORM = {"model.patch_batch_norm": True}
_WHOLE = "token"  # The row that the others are changes of.
# What each differs in from the recipe at 64 pixels.
_VARIANTS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
  _WHOLE: ("attention over the patches, as in the recipe", {}),
  "scaled": ("its scale starting at 1/√32", _SCALED),
  "none": ("no attention", _NONE),
  "patch_norm": ("batch norm after each patch layer", _NORM),
  "scaled_patch_norm": ("batch norm, and the scale", {**_SCALED, **_NORM}),
  "none_patch_norm": ("batch norm, and no attention", {**_NONE, **_NORM}),
  "pointwise_9": (
    "no PAtt-Lite: ImageNet's pointwise 9 and a plain mean",
    {
      **_NONE,
      "model.patch_extraction": False,
      "model.cut": "conv_pw_9_relu",
    },
  ),
}
# Of the data sets, their recipe and the end of their rows' names.
_DATA = {
  "FER2013": ("fer2013_best", ""),
  "FER+ (argmax)": ("ferplus_best", "_ferplus"),
}


def _head(variant: str, data: str) -> Row:
  label, overrides = _VARIANTS[variant]
  config, suffix = _DATA[data]
  return Row(
    name=f"{variant}{suffix}",
    label=label,
    config=f"configs/{config}.py",
    overrides={**_AT_64, **overrides},
    change=data,
    seeds=(0, 1),
    compared_with="" if variant == _WHOLE else f"{_WHOLE}{suffix}",
  )


def _of_size(name: str, label: str, compared_with: str = "", **model) -> Row:
  epochs = model.pop("epochs")
  fields = {f"model.{field}": value for field, value in model.items()}
  return Row(
    name=name,
    label=label,
    config="configs/fer2013_best.py",
    overrides={**fields, "stage1.epochs": epochs},
    change="FER2013, two input sizes at equal time",
    seeds=(0, 1),
    compared_with=compared_with,
  )


def _adjusted(strength: float) -> Row:
  """Returns a row of the rare classes of FER+, at a full head."""
  recipe = _head(_WHOLE, "FER+ (argmax)")
  return dataclasses.replace(
    recipe,
    name=f"adjusted_{round(10 * strength):02}_ferplus",
    label=f"logits adjusted by {strength:g} of the classes' log shares",
    overrides={**recipe.overrides, "stage1.logit_adjustment": strength},
    compared_with=recipe.name,
  )


HEADS = (
  *(_head(variant, data) for data in _DATA for variant in _VARIANTS),
  _adjusted(0.5),
  _adjusted(1.0),
  _of_size(
    "at_112",
    "112 pixels, 14 epochs",
    epochs=14,
    image_size=112,
    patch_stride=2,
  ),
  # An epoch takes 0.69 of the time; 6x6 features, 3x3 patches.
  _of_size(
    "native",
    "48 pixels, first layer at stride 1, 20 epochs",
    "at_112",
    epochs=20,
    image_size=48,
    stem_stride=1,
    patch_stride=1,
  ),
)
