"""Every field of a run: its default, what it may be, and what it is for.

Needs neither JAX nor TensorFlow.
"""

import dataclasses
from typing import Any

from pattlite_jax.config import rules
from pattlite_jax.config.rules import (
  STAGES,
  Number,
  Path,
  Switch,
  Text,
  Words,
)
from pattlite_jax.models.mobilenet_v1_layers import LAYER_NAMES, PATT_LITE_CUT

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
ON_BAD_IMAGE = ("error", "skip")


@dataclasses.dataclass(frozen=True)
class Field:
  """A field of the config."""

  default: Any
  allowed: rules.Allowed
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
  "logit_adjustment": Field(
    0.0,
    _FROM_0,
    "In the loss, adds this times the logarithm of each class's share of the "
    "training images to its logit (Menon et al. 2021, equation 10), so that "
    "rare classes are predicted more often; 1 for all of it.",
    _NOT_LDAM,
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
    Path(off=False),
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
    Path(_NETWORK),
    "A trained network whose weights the first stage starts from, in place of "
    "ImageNet's trunk and a random head.",
  ),
  "data.name": Field(
    "", Text("a data set"), 'The data set, such as "ferplus/majority".'
  ),
  "data.dir": Field(
    "", Path(), "Where your downloaded files lie (docs/data.md)."
  ),
  "data.prepared_dir": Field(
    "~/.cache/pattlite_jax/datasets",
    Path(off=False),
    "Where TFDS keeps its copies of the data sets.",
  ),
  "data.packed": Field(
    "",
    Path(),
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
  "data.memory_gb": Field(
    0.0,
    _FROM_0,
    "GB that images may take in memory; those of a larger set are read from "
    "its prepared copy as they are needed. 0: a quarter of the host's memory.",
  ),
  "data.on_bad_image": Field(
    "error",
    Words(ON_BAD_IMAGE),
    'What a picture does that cannot be read: "error" ends the run; "skip" '
    "leaves it out, if it is so at the start, and result.json counts it.",
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
    Path(),
    "A file of labels to train on: lines such as 'train_00001.jpg 5', with a "
    "number from 1 or the name of a class. Scoring has the data set's own.",
  ),
  "data.sampling": Field(
    "shuffle",
    Words(SAMPLINGS),
    '"shuffle": an epoch has each training image once; "balanced": draws of '
    'every class alike; "repeat_rare": images of rare classes several times.',
  ),
  "data.train_on_validation": Field(
    False,
    Switch(),
    "Adds the validation images to the training images, for a last run of "
    "which nothing is left to choose; it has no validation figures then.",
  ),
  "data.au_file": Field(
    "",
    Path(),
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
  "model.scaled_attention": Field(
    False,
    Switch(),
    "Starts the attention's learned scale at 1 / sqrt(32), 32 being its "
    "features, in place of the published 1.",
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
    "PAtt-Lite's. The shipped ImageNet weights reach conv_pw_9_relu.",
  ),
  "model.stem_stride": Field(
    2,
    Number(1, 2, whole=True),
    "Stride of MobileNetV1's first convolution; 1 suits faces at their own 48 "
    "px, and gives them the feature map of 96.",
  ),
  "model.patch_extraction": Field(
    True, Switch(), "False for the ablation without it.", _PATTLITE
  ),
  "model.patch_stride": Field(
    4, _COUNT, "Stride of the first patch layer; 2 suits 112 px.", _PATTLITE
  ),
  "model.patch_batch_norm": Field(
    False,
    Switch(),
    "Batch norm after each patch layer, before its ReLU; the paper has none.",
    _PATTLITE,
  ),
  "model.trunk_weights": Field(
    "imagenet",
    Path('"imagenet", "random" or a path', off=False),
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
