"""Every field of a run: its default, what it may be, and what it is for.

Defaults are neutral: what changes the data, the loss or the learning rate is
off, and no value is one paper's choice where a plain one exists. A run's own
values are in a recipe (configs/), which starts from `get_config()`, and in
`--config.<field>=<value>` for one run. `python -m pattlite_jax.config` prints
all fields. Needs neither JAX nor TensorFlow.
"""

import dataclasses
import difflib
import pathlib
import textwrap
from collections.abc import Mapping
from typing import Any

import ml_collections

from pattlite_jax import config_rules
from pattlite_jax.config_rules import STAGES, Number, Switch, Text, Words
from pattlite_jax.models.mobilenet_v1_layers import LAYER_NAMES, PATT_LITE_CUT
from pattlite_jax.runtime import output
from pattlite_jax.runtime.errors import UserError

METHODS = (
  "baseline",
  "pattlite",
  "arm",
  "dan",
  "eac",
  "apvit",
  "cbam_rul",
  "ldam_focal",
  "label_correction",
)
MODEL_TRUNKS = ("mobilenet_v1", "resnet18", "resnet50", "ir50")
ATTENTIONS = ("batch", "token", "none")
SHARINGS = ("batch", "constant", "off")
ORDERS = ("official", "class_sorted", "shuffled")
SAMPLINGS = ("shuffle", "balanced", "repeat_rare")
TRUNKS = ("frozen", "all_but_bn", "all")
STATISTICS = ("imagenet", "batch")
MONITORS = ("val_accuracy", "train_accuracy", "last_epoch")
SCHEDULES = ("by_epoch", "cosine")
OPTIMIZERS = ("adam", "adamw", "sgd")
DTYPES = ("float32", "bfloat16")
FILLS = ("image_mean", "imagenet_mean", "noise")
VIEWS = ("clean", "student")
RESUME = ("same", "force")


_RECIPES = pathlib.Path(__file__).parent / "recipes"


@dataclasses.dataclass(frozen=True)
class Field:
  """A field of the config."""

  default: Any
  allowed: config_rules.Allowed
  says: str  # What it is, with its unit; and why the default is what it is.
  methods: tuple[str, ...] = METHODS  # Those that read it.


_SHARE = Number(0, 1)
_DROPOUT = Number(0, 0.99)
_COUNT = Number(1, whole=True)
_EVERY = Number(1, whole=True, off=True)
_FROM_0 = Number(0)
_PIXELS = Number(1, 4096, whole=True)
_PATTLITE = ("pattlite",)
_APVIT = ("apvit",)
_CBAM_RUL = ("cbam_rul",)
_LDAM = ("ldam_focal",)
_CORRECTION = ("label_correction",)
_NOT_LDAM = tuple(name for name in METHODS if name not in _LDAM)
# Those whose images may have several classes at once, each with a share.
_SHARES = tuple(name for name in _NOT_LDAM if name not in _CORRECTION)
_NETWORK = "a network, as pattlite_jax.load takes it"

_STAGE = {
  "epochs": Field(
    0,
    Number(0, whole=True),
    "Epochs at most; 0 skips the stage, as only a recipe knows how many.",
  ),
  "optimizer": Field(
    "adam",
    Words(OPTIMIZERS),
    '"adam" as Keras computes it; "adamw", whose weight_decay is decoupled; or '
    '"sgd", with momentum.',
  ),
  "momentum": Field(
    0.0, Number(0, 0.9999), 'Momentum of "sgd", as PyTorch\'s.'
  ),
  "learning_rate": Field(
    1e-3,
    Number(0, above=True),
    "Learning rate of the optimizer; the default is Adam's usual one.",
  ),
  "weight_decay": Field(
    0.0,
    _FROM_0,
    'With "adamw" kernels decay by the learning rate times this a step; with '
    '"adam" and "sgd" this share of every parameter is added to its gradient, '
    "as in PyTorch.",
  ),
  "schedule": Field(
    "by_epoch",
    Words(SCHEDULES),
    '"by_epoch": constant but for decay_epochs and plateau_patience; "cosine": '
    "falls at each step, to 0 at the end of the stage's epochs.",
  ),
  "warmup_epochs": Field(
    0.0,
    _FROM_0,
    'Epochs in which the learning rate rises from 0, before "cosine".',
  ),
  "step_epochs": Field(
    0,
    _EVERY,
    "Epochs after which, each time, the learning rate is multiplied with "
    "step_factor; 0 for never.",
  ),
  "step_factor": Field(
    0.1, Number(0, 1, above=True), "That factor; the default is PyTorch's."
  ),
  "decay_epochs": Field(
    0.0,
    _FROM_0,
    "Learning rate / (1 + epoch / this); 0 for a constant one.",
  ),
  "ema_decay": Field(
    0.0,
    Number(0, 0.999999),
    "Decay a step, such as 0.999, of a moving average (EMA) of the weights, "
    "which is then what is validated and kept; 0 for no average.",
  ),
  "class_weights": Field(
    False,
    Switch(),
    "Multiplies the loss of class c by n / (K n_c).",
    _NOT_LDAM,  # Which has weights of its own.
  ),
  "label_smoothing": Field(
    0.0, _SHARE, "Share of a target that is given to all classes alike."
  ),
  "trunk": Field(
    "all",
    Words(TRUNKS),
    'What trains of the trunk. "frozen": nothing; "all_but_bn": the '
    'convolutions; "all": the scales and biases of batch norm, too. The '
    "default is plain fine-tuning.",
  ),
  "trunk_statistics": Field(
    "batch",
    Words(STATISTICS),
    'Statistics of the trunk\'s batch norm. "imagenet" keeps them; "batch" '
    "normalises by each batch's and tracks them, as a training from scratch "
    "does. The default is plain fine-tuning.",
  ),
  "spatial_dropout": Field(
    0.0, _DROPOUT, "Dropout of whole channels of the patches.", _PATTLITE
  ),
  "pooled_dropout": Field(
    0.0,
    _DROPOUT,
    'Dropout after pooling (attention "token": of the patches).',
    _PATTLITE,
  ),
  "attended_dropout": Field(
    0.0, _DROPOUT, "Dropout after the attention.", _PATTLITE
  ),
  "monitor": Field(
    "val_accuracy",
    Words(MONITORS),
    "What early stopping watches, and what chooses the epoch whose weights are "
    'kept; "train_accuracy" is the running one, in training mode; "last_epoch" '
    "keeps the last, so that no figure chooses.",
  ),
  "patience": Field(
    0,
    _EVERY,
    "Epochs without a gain before the stage stops; 0 for never.",
  ),
  "min_delta": Field(
    0.0, _SHARE, "The least gain in accuracy, a share, that counts as a gain."
  ),
  "plateau_patience": Field(
    0,
    _EVERY,
    "Epochs without a gain in val_accuracy before the learning rate falls; 0 "
    "for never.",
  ),
  "plateau_factor": Field(
    0.1,
    Number(0, 1, above=True),
    "What the learning rate is multiplied with then; the default is Keras'.",
  ),
  "min_learning_rate": Field(
    0.0, _FROM_0, "What the learning rate never falls below on a plateau."
  ),
}

FIELDS = {
  "workdir": Field(
    "runs/default",
    Text("a path", off=False),
    "Folder of logs, checkpoints, pictures and result.json.",
  ),
  "resume": Field(
    "same",
    Words(RESUME),
    'If the workdir holds a run whose config or data differ: "same" is an '
    'error that shows how, "force" goes on with the new values and records '
    "them.",
  ),
  "seed": Field(
    0,
    Number(0, 2**32 - 1, whole=True),
    "Seed of the weights, the order of the images, augmentation and dropout.",
  ),
  "method": Field("pattlite", Words(METHODS), "The paper whose method trains."),
  "batch_size": Field(32, _COUNT, "Images a step, over all devices."),
  "steps_per_dispatch": Field(
    1,
    _COUNT,
    "Steps that the devices take without the host, with the same results. More "
    "helps GPUs and TPUs at small batches; CPUs are fastest with 1.",
  ),
  "checkpoint_every_steps": Field(
    1000,
    _EVERY,
    "Steps between checkpoints, besides that at the end of each epoch; 0 for "
    "that one alone.",
  ),
  "log_every_steps": Field(
    100,
    _EVERY,
    "Steps between logs of training loss and accuracy; 0 logs them at the end "
    "of each epoch alone.",
  ),
  "global_clipnorm": Field(
    0.0, _FROM_0, "Largest norm of all gradients together; 0 never clips."
  ),
  "start_from": Field(
    "",
    Text(_NETWORK),
    "A trained network whose weights the first stage starts from, in place of "
    "ImageNet's trunk and a random head.",
  ),
  "data.name": Field(
    "", Text("a data set"), 'The data set, such as "ferplus/majority".'
  ),
  "data.dir": Field(
    "", Text("a path"), "Where your downloaded files lie (docs/data.md)."
  ),
  "data.prepared_dir": Field(
    "~/.cache/pattlite_jax/datasets",
    Text("a path", off=False),
    "Where TFDS keeps its copies of the data sets.",
  ),
  "data.packed": Field(
    "",
    Text("a path"),
    "A file of pattlite_jax.pack, read in place of data.dir; training then "
    "needs neither TensorFlow nor clu, and logs text alone.",
  ),
  "data.image_size": Field(
    224,
    _PIXELS,
    "Pixels a side of images that differ in size within a set; larger ones "
    "of such sets, as folders, are prepared in it. CK+'s keep their size until "
    "they are read.",
  ),
  "data.classes": Field(
    "",
    Text("classes, with commas between"),
    "Which classes to train on, such as happiness,sadness; "
    "negative=anger+fear makes one of two. By default all.",
  ),
  "data.soft_targets": Field(
    False,
    Switch(),
    "Trains on the shares of the votes for each image, of sets that have votes "
    "(FER+), in place of its label; accuracies are still of the label.",
    _SHARES,
  ),
  "data.label_noise": Field(
    0.0,
    _SHARE,
    "Share of the training images that get a wrong label, both drawn from the "
    "seed. Whatever is scored has the data set's own labels.",
  ),
  "data.label_file": Field(
    "",
    Text("a path"),
    "A file of labels to train on: lines such as 'train_00001.jpg 5', with a "
    "number from 1 or the name of a class. Scoring has the data set's own.",
  ),
  "data.sampling": Field(
    "shuffle",
    Words(SAMPLINGS),
    '"shuffle": an epoch has each training image once; "balanced": draws of '
    'every class alike; "repeat_rare": images of rare classes several times.',
  ),
  "data.au_file": Field(
    "",
    Text("a path"),
    "A csv of your own annotations of training images: id, action units, "
    "valence, arousal (docs/data.md).",
    _CORRECTION,
  ),
  "data.download": Field(
    False, Switch(), "Fetches the files from Kaggle with your credentials."
  ),
  "distillation.teachers": Field(
    "",
    Text("networks, as pattlite_jax.load takes them, with commas between"),
    "Trained networks, whose mean probabilities have a share in the target of "
    "each training image.",
    _SHARES,
  ),
  "distillation.share": Field(
    0.5, _SHARE, "The teachers' share of a target; the label keeps the rest."
  ),
  "distillation.view": Field(
    "clean",
    Words(VIEWS),
    'What the teachers see. "clean": each training image and its mirror '
    'image, once, at no cost in the steps; "student": in each step what the '
    "student sees, at the cost of a forward pass a teacher.",
    _SHARES,
  ),
  "distillation.temperature": Field(
    1.0,
    Number(0, above=True),
    "What the logits of teachers and student are divided by, where the "
    "teachers see the student's view.",
    _SHARES,
  ),
  "model.attention": Field(
    "token",
    Words(ATTENTIONS),
    '"token" attends over the patches of one image; "batch" over the images of '
    "the batch, as published (predictions then depend on the batch); "
    '"none". The default gives each image its own prediction.',
    _PATTLITE,
  ),
  "model.image_size": Field(
    224, _PIXELS, "Pixels a side that the network sees; ImageNet's usual size."
  ),
  "model.trunk": Field(
    "mobilenet_v1",
    Words(MODEL_TRUNKS),
    'The network that gives the features; "ir50" is the first three stages of '
    "face.evoLVe's. The default is the one whose weights are shipped.",
  ),
  "model.cut": Field(
    PATT_LITE_CUT,
    Words(LAYER_NAMES),
    "Last layer of MobileNetV1 that is used, by its Keras name; the default is "
    "the last that the shipped ImageNet weights reach.",
  ),
  "model.patch_extraction": Field(
    True, Switch(), "False for the ablation without it.", _PATTLITE
  ),
  "model.patch_stride": Field(
    4, _COUNT, "Stride of the first patch layer; 2 suits 112 px.", _PATTLITE
  ),
  "model.trunk_weights": Field(
    "imagenet",
    Text('"imagenet", "random" or a path', off=False),
    "The trunk's first weights: those shipped (MobileNetV1's), drawn ones, or "
    "a file: of keras_port for MobileNetV1, else the state dict of torchvision "
    "or face.evoLVe as .safetensors or .pth.",
  ),
  "model.dtype": Field(
    "float32", Words(DTYPES), "In which trunk and patches are computed."
  ),
  "model.sharing": Field(
    "constant",
    Words(SHARINGS),
    'What is added to the features of each image: the mean of its "batch", as '
    "released (predictions then depend on the batch); that of the training, "
    'which is "constant"; or nothing, "off". The default gives each image its '
    "own prediction.",
    ("arm",),
  ),
  "model.head_features": Field(
    256,
    _COUNT,
    "Channels within each attention head; the paper's, for the 512 of "
    "ResNet-18.",
    ("dan",),
  ),
  "model.centers": Field(
    0,
    _EVERY,
    "Centers of the affinity loss; 0 for one a class. The paper's code has 8 "
    "also for 7 classes.",
    ("dan",),
  ),
  "model.consistency_weight": Field(
    5.0,
    _FROM_0,
    "Weight of the consistency of attention maps in the loss (lambda); the "
    "paper's value, as the method has no neutral one.",
    ("eac",),
  ),
  "model.erase_apart": Field(
    False,
    Switch(),
    "Gives the mirror image a gap of its own, as the paper's runs on noisy "
    "labels; else both have one gap.",
    ("eac",),
  ),
  "model.depth": Field(
    8,
    _COUNT,
    "Blocks of the transformer, of which the second half drops tokens; this, "
    "the width and the heads default to the paper's.",
    _APVIT,
  ),
  "model.width": Field(
    768, _COUNT, "Features of a token, the same number for each head.", _APVIT
  ),
  "model.heads": Field(8, _COUNT, "Heads of its attention.", _APVIT),
  "model.embedding_size": Field(
    64,
    _COUNT,
    "Features of an image that are mixed; the code's value.",
    _CBAM_RUL,
  ),
  "model.embedding_dropout": Field(
    0.4, _DROPOUT, "Dropout before them; the code's value.", _CBAM_RUL
  ),
  "model.logit_scale": Field(
    30.0,
    Number(0, above=True),
    "What cosines are multiplied with to be logits; LDAM's value.",
    _LDAM,
  ),
  "model.largest_margin": Field(
    0.5,
    Number(0, 2),
    "Margin of the rarest class, as a cosine; LDAM's value.",
    _LDAM,
  ),
  "model.focal_gamma": Field(
    2.0,
    Number(1, off=True),
    "Exponent of the focal factor; its paper's value.",
    _LDAM,
  ),
  "model.balanced_from": Field(
    0.4,
    _SHARE,
    "Share of a stage after which class weights leave 1; ours, as the paper's "
    "is not public.",
    _LDAM,
  ),
  "model.balanced_by": Field(
    0.8,
    _SHARE,
    "Share of a stage after which they are balanced; where LDAM reweights.",
    _LDAM,
  ),
  "model.sure_share": Field(
    0.7,
    _SHARE,
    "Share of a batch that is to be surer than the rest; this and the next "
    "three are the Self-Cure Network's.",
    _CORRECTION,
  ),
  "model.rank_margin": Field(
    0.15, _SHARE, "By how much surer, in mean confidence.", _CORRECTION
  ),
  "model.relabel_margin": Field(
    0.2,
    _SHARE,
    "How much more probable than its label a class must be to become it.",
    _CORRECTION,
  ),
  "model.relabel_after_epochs": Field(
    10.0,
    _FROM_0,
    "Epochs of a stage before any label changes.",
    _CORRECTION,
  ),
  "model.action_units": Field(
    "",
    Text("columns of config.data.au_file, with commas between"),
    "The action units that an auxiliary head learns, with valence and arousal.",
    _CORRECTION,
  ),
  "model.annotation_weight": Field(
    1.0,
    _FROM_0,
    "Weight of the auxiliary head's losses; ours, as no paper's is public.",
    _CORRECTION,
  ),
  "augment.random_flip": Field(
    False, Switch(), "Mirrors one image in two from left to right."
  ),
  "augment.random_contrast": Field(0.0, _SHARE, "Factor within 1 +- this."),
  "augment.random_rotation": Field(
    0.0, Number(0, 180), "Degrees, within +- this."
  ),
  "augment.random_zoom": Field(
    0.0, Number(0, 0.9), "Magnification within 1 +- this."
  ),
  "augment.random_shift": Field(
    0.0, _SHARE, "Share of the side, within +- this."
  ),
  "augment.warp_share": Field(
    1.0, _SHARE, "Share of images that are rotated, magnified and shifted."
  ),
  "augment.random_crop": Field(
    1.0,
    Number(0.01, 1),
    "Of each image a square of this to 1 of its area is kept; 1 for all of it.",
  ),
  "augment.random_noise": Field(
    0.0, _SHARE, "Share of images with normal noise."
  ),
  "augment.flip_or_noise": Field(
    0.0,
    _SHARE,
    "Share of images that are mirrored or get noise, one of the two.",
  ),
  "augment.noise_deviation": Field(
    5.5,
    _FROM_0,
    "Standard deviation of the noise, in levels of 255; that of ARM and EAC.",
  ),
  "augment.random_jitter": Field(
    0.0, _SHARE, "Share of images with other brightness, contrast, colours."
  ),
  "augment.jitter_strength": Field(
    0.4, _SHARE, "Factors of brightness, contrast, saturation within 1 +- this."
  ),
  "augment.jitter_hue": Field(
    0.1,
    Number(0, 0.5),
    "Turn of the hue, a share of the circle within +- this.",
  ),
  "augment.random_grey": Field(
    0.0, _SHARE, "Share of images that lose their colours."
  ),
  "augment.random_erasing": Field(0.0, _SHARE, "Share of images with a gap."),
  "augment.erasing_min_area": Field(
    0.02, _SHARE, "The least gap, a share of the image."
  ),
  "augment.erasing_max_area": Field(
    0.25, _SHARE, "The largest gap, a share of the image."
  ),
  "augment.erasing_fill": Field(
    "image_mean",
    Words(FILLS),
    'What a gap shows: the image\'s mean colour; "imagenet_mean", which '
    'PyTorch\'s recipes erase with; or "noise" about that.',
  ),
  "eval.batch_size": Field(
    32, _COUNT, "Images scored together; the default of Keras' evaluate."
  ),
  "eval.order": Field(
    "official",
    Words(ORDERS),
    'Order of the scored images for attention or sharing "batch", the only '
    'ones that it matters to: that of the data set; "class_sorted", as in the '
    'published files; or "shuffled".',
  ),
  **{
    f"{stage}.{name}": field
    for stage in STAGES
    for name, field in _STAGE.items()
  },
}

# What runs had whose checkpoints lack a field, where the default is another.
_BEFORE = {
  "batch_size": 8,
  "global_clipnorm": 3.0,
  "augment.random_flip": True,
  "augment.random_contrast": 0.3,
  "distillation.share": 0.7,
  "eval.order": "class_sorted",
  **{
    f"{stage}.{name}": value
    for stage in STAGES
    for name, value in {
      "trunk": "frozen",
      "trunk_statistics": "imagenet",
      "min_delta": 0.003,
      "min_learning_rate": 1e-6,
    }.items()
  },
  "stage1.epochs": 100,
  "stage1.class_weights": True,
  "stage1.pooled_dropout": 0.1,
  "stage1.plateau_patience": 3,
  "stage1.patience": 5,
  "stage2.epochs": 500,
  "stage2.learning_rate": 1e-5,
  "stage2.decay_epochs": 80.0,
  "stage2.spatial_dropout": 0.2,
  "stage2.pooled_dropout": 0.2,
  "stage2.attended_dropout": 0.2,
  "stage2.monitor": "train_accuracy",
  "stage2.patience": 20,
}


@dataclasses.dataclass(frozen=True)
class Former:
  """A field of older versions: renamed to `now`, or gone."""

  now: str = ""
  off: Any = None  # The value with which a field that has gone did nothing.


FORMER = {
  "augment.random_brightness": Former(off=0.0),
  "mixing.mixup_alpha": Former(off=0.0),
  "mixing.cutmix_alpha": Former(off=0.0),
  "stage1.trunk_learning_rate_factor": Former(off=1.0),
  "stage2.trunk_learning_rate_factor": Former(off=1.0),
}


def get_config() -> ml_collections.ConfigDict:
  """Returns the locked config of all defaults; a misspelt field is an error."""
  defaults = {name: field.default for name, field in FIELDS.items()}
  return ml_collections.ConfigDict(_nested(defaults)).lock()


def check(config: ml_collections.ConfigDict) -> None:
  """Raises UserError, one line, for fields or values that no run can have."""
  fields = flat(config.to_dict())
  for name in [*fields, *FIELDS]:
    if name not in FIELDS:
      raise UserError(unknown(name))
    if name not in fields:
      raise UserError(
        f"config.{name} is missing; start a config from "
        "pattlite_jax.config.get_config(), which has every field."
      )
  _check_values(fields)
  _check_methods(fields)
  config_rules.check_together(fields)


def _check_values(fields: Mapping[str, Any]) -> None:
  for name, field in FIELDS.items():
    if not field.allowed.allows(fields[name]):
      raise UserError(
        f"config.{name} is {fields[name]!r}, but must be {field.allowed}."
      )


def _check_methods(fields: Mapping[str, Any]) -> None:
  """Raises UserError for a value that the method of the run does not read."""
  method = fields["method"]
  for name, field in FIELDS.items():
    if method not in field.methods and fields[name] != field.default:
      raise UserError(
        f"config.{name} is {fields[name]!r}, but has no effect with "
        f"config.method={method}; leave it at {field.default!r}. It is read by "
        f"{', '.join(field.methods)}.{_recipes_of(method)}"
      )


def _recipes_of(method: str) -> str:
  """Says which recipes are of a method; they end in its name."""
  names = sorted(path.stem for path in _RECIPES.glob(f"*_{method}.py"))
  if not names:
    return ""
  return f" Recipes of {method}: {', '.join(f'--config={n}' for n in names)}."


def unknown(name: str, former: Mapping[str, Former] = FORMER) -> str:
  """Returns what to say of a field that is not there, such as its new name."""
  text = f"There is no config.{name}"
  if name in former:
    now = former[name].now
    if now:
      return f"{text} any more: it is called config.{now} now."
    return f"{text} any more: what it did was taken out."
  nearest = difflib.get_close_matches(name, FIELDS, 1)
  hint = f" Did you mean config.{nearest[0]}?" if nearest else ""
  return f"{text}.{hint} `python -m pattlite_jax.config` lists all fields."


def upgrade(
  fields: Mapping[str, Any], former: Mapping[str, Former] = FORMER
) -> dict[str, Any]:
  """Returns the fields of a checkpoint's config as this version has them.

  Fields that are newer than the checkpoint take what its run had in effect. A
  field that has gone is left out where it did nothing, and otherwise stays: it
  says how the weights were trained.

  Raises:
    UserError: if a field was never there: the checkpoint is newer, or broken.
  """
  before = {name: field.default for name, field in FIELDS.items()} | _BEFORE
  own = {}
  for name, value in flat(fields).items():
    if name in former and former[name].now:
      own[former[name].now] = value
    elif name in FIELDS or (name in former and value != former[name].off):
      own[name] = value
    elif name not in former:
      raise UserError(
        f"There is no config.{name}, which is {value!r} in the checkpoint: it "
        "is of a newer version, or broken."
      )
  return _nested(before | own)


def from_checkpoint(fields: Mapping[str, Any]) -> ml_collections.ConfigDict:
  """Returns the locked config of a checkpoint of this or an older version.

  Raises:
    UserError: as `upgrade`, and for a value that is not allowed.
  """
  upgraded = upgrade(fields)
  _check_values(flat(upgraded))
  config = get_config().unlock()
  config.update(upgraded)
  return config.lock()


def flat(fields: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
  """Returns {"stage1.epochs": value}: fields named as their flags are."""
  found = {}
  for name, value in fields.items():
    if isinstance(value, Mapping):
      found |= flat(value, f"{prefix}{name}.")
    else:
      found[f"{prefix}{name}"] = value
  return found


def _nested(fields: Mapping[str, Any]) -> dict[str, Any]:
  """Undoes `flat`."""
  tree: dict[str, Any] = {}
  for name, value in fields.items():
    *sections, last = name.split(".")
    node = tree
    for section in sections:
      node = node.setdefault(section, {})
    node[last] = value
  return tree


def text() -> str:
  """Returns all fields in words, for a reader."""
  parts = []
  for name, field in FIELDS.items():
    says = f"{field.says} Must be {field.allowed}."
    if field.methods != METHODS:
      says += f" Read by {', '.join(field.methods)}."
    parts.append(f"config.{name}={field.default!r}\n{_wrapped(says)}")
  return "\n".join(parts)


def _wrapped(says: str) -> str:
  indent = "    "
  return textwrap.fill(
    says, 80, initial_indent=indent, subsequent_indent=indent
  )


if __name__ == "__main__":
  output.watch()
  print(text())
