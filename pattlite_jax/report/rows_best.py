"""Rows of the recipes for the best accuracy, and of their ingredients."""

from pattlite_jax.report.row import NEAR_NEUTRAL, Row

_TAUGHT = {
  "distillation.teachers": "runs/best/fer2013_seed0",
  "stage1.label_smoothing": 0.0,  # The teacher's targets are soft.
}
# The published input size; a GPU's work.
_AT_224 = {
  "model.image_size": 224,
  "model.patch_stride": 4,
  "stage1.epochs": 40,
}

# Longer and in larger batches; nothing chooses the epoch. A GPU's work.
_LONG = {
  "batch_size": 256,
  "model.dtype": "bfloat16",
  "stage1.epochs": 32,
  "stage1.learning_rate": 2e-3,
  "stage1.weight_decay": 0.05,
  "stage1.warmup_epochs": 2.0,
  "stage1.ema_decay": 0.998,
  "stage1.monitor": "last_epoch",
}
# For students: a teacher says what a face shows in views beyond its own, too.
_WIDE = {
  "augment.random_contrast": 0.5,
  "augment.random_rotation": 15.0,
  "augment.random_zoom": 0.15,
  "augment.random_shift": 0.1,
  "augment.erasing_max_area": 0.33,
}
_WIDE_EPOCHS = 100
_HEAD = {"model.scaled_attention": True, "model.patch_batch_norm": True}
# ImageNet's whole MobileNetV1 (3.2 M) with a plain mean, to teach. The README
# of pattlite_jax/weights says how to port it.
_WHOLE = {
  "method": "baseline",
  "model.cut": "conv_pw_13_relu",
  "model.trunk_weights": "data/pw13.safetensors",
  "model.patch_stride": 4,  # A baseline has no patches, and no dropout.
  "stage1.spatial_dropout": 0.0,
  "stage1.pooled_dropout": 0.0,
  "stage2.spatial_dropout": 0.0,
  "stage2.pooled_dropout": 0.0,
  "stage2.attended_dropout": 0.0,
}


def _best(name, label, config, change, expected=None, **fields):
  return Row(
    name=name,
    label=label,
    config=f"configs/{config}.py",
    change=change,
    expected=expected,
    expected_source=NEAR_NEUTRAL if expected else "",
    **fields,
  )


def _more(start_from, *, taught_by, epochs, **overrides):
  """Returns what a training differs in that goes on from a trained network.

  Its seed must be another, or it would see the same augmented images again.
  """
  return {
    "start_from": start_from,
    "distillation.teachers": taught_by,
    "distillation.share": 0.5,
    "stage1.epochs": epochs,
    "stage1.learning_rate": 5e-4,  # The weights need no large steps any more.
    **overrides,
  }


def _long(data, label, config, *, epochs, teachers, ships, shipped_seed):
  """Returns the rows of a long training: teachers, PAtt-Lite, its students.

  The first student starts from the PAtt-Lite, with another seed, as in `_more`.
  The long students train for so many `epochs`, with the seeds `teachers` of
  their own. Of the students called `ships`, one is in the package.
  """

  def taught_by(*seeds):
    return {
      **_HEAD,
      "distillation.teachers": ",".join(
        f"runs/best/{data}_whole_seed{seed}" for seed in seeds
      ),
      "distillation.view": "student",
      "distillation.share": 0.9 if data == "fer2013" else 0.8,  # Soft votes.
      "stage1.label_smoothing": 0.0,
    }

  student = {
    **taught_by(0, 1),
    "start_from": f"runs/best/{data}_long_seed0",
    "stage1.epochs": 6,
    "stage1.learning_rate": 5e-4,
    "stage1.weight_decay": 0.05,
    "stage1.warmup_epochs": 0.5,
    "stage1.monitor": "last_epoch",
  }

  def in_package(student):
    if student != ships:
      return {}
    name = data.removesuffix("_argmax")
    return {"ships_as": name, "shipped_seed": shipped_seed}

  long_student = {
    **_LONG,
    **taught_by(*teachers),
    "stage1.epochs": epochs,
    "stage1.ema_decay": 0.999,
  }
  return (
    _best(
      f"{data}_whole",
      f"{label}, whole MobileNetV1 (3.2 M)",
      config,
      "32 epochs in batches of 256; no PAtt-Lite: a plain mean",
      overrides={**_LONG, **_WHOLE},
      seeds=(0, 1, 2, 3, *teachers),
    ),
    _best(
      f"{data}_long",
      f"{label} long",
      config,
      "32 epochs in batches of 256; batch norm in the patch block, attention "
      "scaled by 1/√32",
      overrides={**_LONG, **_HEAD},
      seeds=(0,),
    ),
    _best(
      f"{data}_student",
      f"{label} student",
      config,
      f'6 more epochs of "{label} long"; two networks "{label}, whole '
      "MobileNetV1\" teach in the student's view",
      overrides=student,
      seeds=(1,),
    ),
    _best(
      f"{data}_student_long",
      f"{label} long student",
      config,
      f'{epochs} epochs, otherwise as "long", from ImageNet; {len(teachers)} '
      f'other networks "{label}, whole MobileNetV1" teach in the student\'s '
      "view",
      overrides=long_student,
      **in_package("student_long"),
    ),
    _best(
      f"{data}_student_wide",
      f"{label} wide student",
      config,
      f"{_WIDE_EPOCHS} epochs of wider views (turns to 15°, zooms to 15 %, "
      "shifts to 10 %, contrasts to 50 %, up to a third erased), otherwise as "
      f'"{label} long student"',
      overrides={**long_student, **_WIDE, "stage1.epochs": _WIDE_EPOCHS},
      seeds=(1,),
      **in_package("student_wide"),
    ),
  )


def _ingredient(
  name,
  label,
  overrides=None,
  *,
  compared_with="whole",
  image_size=56,
):
  """Returns a row that changes `compared_with`, at its cost: five epochs.

  At 56 pixels one patch is left of an image, at 64 as many as in the whole
  recipe, 2x2.
  """
  budget = {
    "stage1.epochs": 5,
    "model.image_size": image_size,
    "model.patch_stride": 1,
  }
  return Row(
    name=name,
    label=label,
    config="configs/fer2013_best.py",
    overrides=budget | (overrides or {}),
    seeds=(0,),
    compared_with=compared_with,
  )


BEST = (
  _best(
    "ferplus_argmax",
    "FER+ (argmax)",
    "ferplus_best",
    "the recipe, 14 epochs",
    83.10,
  ),
  _best(
    "ferplus_argmax_round2",
    "FER+ (argmax) round 2",
    "ferplus_best",
    '10 more epochs of "FER+ (argmax)", which is its own teacher',
    83.10,
    overrides=_more(
      "runs/best/ferplus_argmax_seed0",
      taught_by="runs/best/ferplus_argmax_seed0",
      epochs=10,
    ),
    seeds=(1,),
  ),
  _best(
    "ferplus_argmax_224",
    "FER+ (argmax) at 224 pixels",
    "ferplus_best",
    '40 epochs; teacher: "FER+ (argmax)"',
    83.10,
    overrides={
      "distillation.teachers": "runs/best/ferplus_argmax_seed0",
      "distillation.share": 0.5,
      **_AT_224,
    },
  ),
  _best(
    "ferplus_majority",
    "FER+ (majority)",
    "ferplus_best",
    "the recipe, 14 epochs",
    overrides={"data.name": "ferplus/majority"},
  ),
  _best("fer2013", "FER2013", "fer2013_best", "the recipe, 14 epochs", 70.08),
  _best(
    "fer2013_taught",
    "FER2013 taught",
    "fer2013_best",
    '18 epochs; teacher: "FER2013"',
    70.08,
    overrides={**_TAUGHT, "stage1.epochs": 18},
  ),
  _best(
    "fer2013_160",
    "FER2013 at 160 pixels",
    "fer2013_best",
    '4 more epochs of "FER2013 taught", which is its own teacher',
    70.08,
    overrides=_more(
      "runs/best/fer2013_taught_seed0",
      taught_by="runs/best/fer2013_taught_seed0",
      epochs=4,
      **{
        "stage1.label_smoothing": 0.0,
        "model.image_size": 160,
        "model.patch_stride": 3,  # 10x10 -> 2x2 patches.
      },
    ),
    seeds=(1,),
  ),
  _best(
    "fer2013_224",
    "FER2013 at 224 pixels",
    "fer2013_best",
    '40 epochs; teacher: "FER2013"',
    70.08,
    overrides=_TAUGHT | _AT_224,
  ),
  _best(
    "fer2013_from_ferplus",
    "FER2013 from FER+",
    "fer2013_best",
    '6 epochs of "FER+ (argmax) round 2" on FER2013; teacher: "FER2013 taught"',
    70.08,
    overrides=_more(
      "runs/best/ferplus_argmax_round2_seed1",
      taught_by="runs/best/fer2013_taught_seed0",
      epochs=6,
      **{"stage1.label_smoothing": 0.0},
    ),
    seeds=(2,),
  ),
  *_long(
    "ferplus_argmax",
    "FER+ (argmax)",
    "ferplus_best",
    epochs=27,
    teachers=(4, 5, 6),
    ships="student_long",
    shipped_seed=2,
  ),
  *_long(
    "fer2013",
    "FER2013",
    "fer2013_best",
    epochs=41,
    teachers=(4, 5, 6, 7),
    ships="student_wide",
    shipped_seed=1,
  ),
)

INGREDIENTS = (
  _ingredient("whole", "the recipe", compared_with=""),
  _ingredient(
    "imagenet_statistics",
    "ImageNet's statistics kept in the trunk",
    {"stage1.trunk_statistics": "imagenet"},
  ),
  _ingredient(
    "frozen",
    "trunk frozen",
    {"stage1.trunk": "frozen", "stage1.trunk_statistics": "imagenet"},
  ),
  _ingredient(
    "no_average",
    "no moving average (EMA) of the weights",
    {"stage1.ema_decay": 0.0},
  ),
  _ingredient("no_smoothing", "hard labels", {"stage1.label_smoothing": 0.0}),
  _ingredient("balanced", "class weights", {"stage1.class_weights": True}),
  _ingredient("no_erasing", "no erasing", {"augment.random_erasing": 0.0}),
  _ingredient(
    "no_warp",
    "no rotation, zoom, shift",
    {
      "augment.random_rotation": 0.0,
      "augment.random_zoom": 0.0,
      "augment.random_shift": 0.0,
    },
  ),
  _ingredient("taught", "taught by a network of the recipe", _TAUGHT),
  # One patch has nothing to attend over.
  _ingredient(
    "whole_64",
    "the recipe at 64 pixels",
    image_size=64,
    compared_with="",
  ),
  _ingredient(
    "no_attention_64",
    "no attention, at 64 pixels",
    {"model.attention": "none"},
    image_size=64,
    compared_with="whole_64",
  ),
)
