"""What a run says: on a terminal, and in plain lines elsewhere."""

import io
import logging as python_logging
import re
import time

import jax
import numpy as np
import pytest
import small_run_config
from absl import logging
from rich.console import Console
from small_run import fit, saved_best

from pattlite_jax.runtime.errors import UserError
from pattlite_jax.scoring import metrics
from pattlite_jax.training import bar, log_lines, pending

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def plain_console():
  return Console(file=io.StringIO(), highlight=False, markup=False)


def terminal_console():
  return Console(
    file=io.StringIO(),
    force_terminal=True,
    force_interactive=True,
    width=80,
    highlight=False,
    markup=False,
  )


def configure(workdir):
  """Two stages of which the first stops early, by a gain that none has."""
  config = small_run_config.make(workdir)
  config.stage1.epochs = 5
  config.stage1.patience = 1
  config.stage1.min_delta = 1.0
  config.stage2.epochs = 2
  config.stage2.patience = 0
  config.stage2.min_delta = 1.0
  config.log_every_steps = 3
  return config


@pytest.fixture
def config(tmp_path):
  return configure(tmp_path / "run")


@pytest.fixture(scope="module")
def plain(tmp_path_factory, make_splits):
  """(config, lines, history, scalars) of a run with its output in a file."""
  config = configure(tmp_path_factory.mktemp("plain") / "run")
  console = plain_console()
  result, writer = fit(config, make_splits(), console=console)
  lines = console.file.getvalue().splitlines()
  return config, lines, result["history"], writer.scalars


def test_the_header_tells_the_facts(plain):
  config, lines, _, _ = plain
  head = "\n".join(lines[: lines.index("Stage 1 of 2")])
  assert "data        synthetic_faces, 3 classes" in head
  assert "images      18 training, 9 validation, 10 test" in head
  leaves = jax.tree.leaves(saved_best(config))
  count = sum(leaf.size for leaf in leaves)
  assert f"network     pattlite at 24 pixels, {count:,} parameters" in head
  assert re.search(r"^devices     \d+ x cpu$", head, re.MULTILINE)
  assert "batches     4 images a step, 5 steps an epoch" in head
  assert (
    "stage 1     up to 5 epochs, learning rate 0.001, patience 1 (val_accuracy)"
  ) in head
  assert re.search("^stage 2     2 epochs, learning rate 1e-05$", head, re.M)
  assert f"folder      {config.workdir}" in head


@pytest.mark.slow
def test_every_plain_line_is_made_of_words(plain):
  _, lines, _, _ = plain
  for line in lines:
    assert line.isprintable(), line  # No colours, no bar.
    assert not re.search(r"\w=|\w/\w+=|\[\d+\]|^I\d{4}", line), line
  steps = [re.match(r"step (\d+) of (\d+) \(", line) for line in lines]
  found = [(int(m[1]), int(m[2])) for m in steps if m]
  # Stage 1 may take 5 epochs but stops after 2: its end leaves fewer.
  assert found == [(3, 35), (6, 35), (9, 35), (12, 20), (15, 20), (18, 20)]
  pattern = (
    r"step 18 of 20 \(epoch 4 of 4\): loss \d+\.\d{3}, accuracy \d+\.\d %, "
    r"[\d,.]+ images/s, \d+ s left"
  )
  assert any(re.fullmatch(pattern, line) for line in lines), lines
  early = [line for line in lines if " left" in line and "(epoch 2 " in line]
  assert early and all("up to " in line for line in early)


@pytest.mark.slow
def test_a_line_an_epoch_holds_the_figures_of_the_history(plain):
  _, lines, history, _ = plain
  epochs = [line for line in lines if line.startswith("epoch ")]
  assert len(epochs) == len(history) == 4
  for number, (line, record) in enumerate(zip(epochs, history, strict=True), 1):
    total = 7 if record["stage"] == "stage1" else 4
    figures = [
      f"training loss {record['train_loss']:.3f}, "
      f"accuracy {100 * record['train_accuracy']:.1f} %",
      f"validation loss {record['val_loss']:.3f}, "
      f"accuracy {100 * record['val_accuracy']:.1f} %",
      f"learning rate {record['learning_rate']:.3g}",
    ]
    start = f"epoch {number} of {total}: {'; '.join(figures)}; "
    assert line.startswith(start)
    rest = line.removeprefix(start)
    # The first of a stage is its best, as none gains enough.
    best = "; best so far" if number in (1, 3) else ""
    assert re.fullmatch(rf"[\d,.]+ images/s{best}", rest), rest
  end = "No gain in validation accuracy for 1 epoch: stage 1 ends."
  assert lines[lines.index(epochs[1]) + 1] == end


@pytest.mark.slow
def test_scalars_go_to_tensorboard(plain):
  _, _, history, scalars = plain
  logged = [(step, s) for step, s in scalars if "validation/loss" in s]
  assert [step for step, _ in logged] == [5, 10, 15, 20]
  for (_, values), record in zip(logged, history, strict=True):
    assert values["validation/accuracy"] == record["val_accuracy"]
    assert values["learning_rate"] == record["learning_rate"]
  # No speed before a second look at finished steps, which a stage may lack.
  name = "train/images_per_second"
  speeds = [s[name] for s in _of_training(scalars) if name in s]
  assert speeds and min(speeds) > 0


def _of_training(scalars):
  return [s for _, s in scalars if "train/loss" in s]


def test_a_terminal_shows_a_bar_and_a_row_an_epoch(config, splits):
  console = terminal_console()
  result, _ = fit(config, splits, console=console)
  shown = console.file.getvalue()
  # What a redrawn line was before stays in the stream, after "\r".
  drawn = [CONTROL.sub("", part) for part in re.split(r"[\r\n]", shown)]
  bars = [line for line in drawn if re.match(r"epoch \d [━╸╺]", line)]
  assert any(line.endswith("compiling the first step") for line in bars)
  assert any(line.rstrip().endswith("validating") for line in bars)
  for line in bars:
    assert len(line) <= 76  # With room for ^C.
  rows = [line for line in drawn if re.match(r" +\d of \d  ", line)]
  assert len(rows) == len(result["history"])
  for row, record in zip(rows, result["history"], strict=True):
    cells = [
      f"{record['train_loss']:.3f}",
      f"{100 * record['train_accuracy']:.1f} %",
      f"{record['val_loss']:.3f}",
      f"{100 * record['val_accuracy']:.1f} %",
      f"{record['learning_rate']:.3g}",
    ]
    assert re.sub(" +", " ", row).split(" ", 4)[4].startswith(" ".join(cells))
    assert len(row) <= 80
  assert not any(line.startswith("step ") for line in drawn)
  assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")  # The cursor.
  last_bar = max(shown.rindex(mark) for mark in "━╸╺" if mark in shown)
  assert "\x1b[2K" in shown[last_bar:], "The bar stays on the screen."


@pytest.mark.slow
def test_what_is_shown_does_not_change_a_run(config, splits, tmp_path):
  config.stage2.epochs = 0
  results = []
  for name, console in (
    ("terminal", terminal_console()),
    ("plain", plain_console()),
  ):
    config.workdir = str(tmp_path / name)
    config.log_every_steps = 1 if name == "plain" else 100
    results.append(fit(config, splits, console=console)[0])
  assert results[0] == results[1]


@pytest.mark.slow
def test_a_bar_shows_steps_between_two_log_lines(config, splits):
  config.log_every_steps = 100
  config.stage1.epochs, config.stage2.epochs = 1, 0
  console = terminal_console()
  fit(config, splits, hook=lambda step: time.sleep(0.25), console=console)
  lines = CONTROL.sub("", console.file.getvalue()).split("\r")
  figures = [line for line in lines if " loss " in line and " left" in line]
  assert len(figures) >= 2
  assert re.search(
    r"accuracy \d+\.\d %, [\d,.]+ images/s, up to \d+ s left", figures[-1]
  )


@pytest.mark.slow
def test_a_bar_ends_with_a_run_that_fails(config, splits):
  config.stage1.learning_rate = 1e39
  console = terminal_console()
  with pytest.raises(UserError, match="not finite"):
    fit(config, splits, console=console)
  shown = console.file.getvalue()
  assert shown.rindex("\x1b[2K") > shown.rindex("━")


def test_warnings_are_printed_above_the_bar():
  console = terminal_console()
  own = logging.get_absl_handler().python_handler.stream
  shown = bar.Bar(console)
  shown.draw("epoch 1 of 2", 3, 5, "loss 1.0")
  record = python_logging.LogRecord(
    "absl", python_logging.WARNING, __file__, 1, "Mind the gap.", None, None
  )
  logging.get_absl_handler().python_handler.handle(record)
  shown.draw("epoch 1 of 2", 4, 5, "loss 0.9")
  shown.close()
  lines = CONTROL.sub("", console.file.getvalue()).split("\n")
  assert any(line.endswith("Mind the gap.") for line in lines)
  assert logging.get_absl_handler().python_handler.stream is own


class Leaf:
  """A value that a device computes; `done` says whether it has."""

  def __init__(self, value):
    self.value, self.done = value, False

  def is_ready(self):
    return self.done

  def copy_to_host_async(self):
    pass

  def __array__(self, dtype=None, copy=None):
    self.done = True  # Reading waits.
    return np.asarray(self.value, dtype)


def stacks(num_stacks):
  """Sums whose total depends on the order in which they are added."""
  values = 10.0 ** np.arange(num_stacks) / 3
  return [
    metrics.Metrics(
      loss_sum=Leaf(np.float32([x, x / 7])),
      correct=Leaf(np.int32([1, 2])),
      count=Leaf(np.int32([4, 4])),
    )
    for x in values
  ]


def set_done(stack):
  for leaf in jax.tree.leaves(stack):
    leaf.done = True


def test_sums_are_the_same_to_the_bit_whenever_they_are_read():
  totals = []
  for looks in ([], [2], [0, 1, 2, 3, 4, 5], [5]):
    sums = pending.Pending(metrics.zero(), lambda steps, sums: None)
    given = stacks(6)
    for i, stack in enumerate(given):
      sums.append(stack)
      if i in looks:
        for earlier in given[:i]:
          set_done(earlier)
        sums.add_finished()
    totals.append(sums.add_all())
  assert all(total == totals[0] for total in totals)
  assert totals[0]["count"] == 48 and totals[0]["correct"] == 18


def test_only_finished_steps_are_told_of_and_none_is_waited_for():
  told = []
  sums = pending.Pending(
    metrics.zero(), lambda steps, sums: told.append((steps, sums["count"]))
  )
  first, second, third = stacks(3)
  for stack in (first, second, third):
    sums.append(stack)
  sums.add_finished()
  assert told == []
  set_done(first)
  set_done(second)
  sums.add_finished()
  # Told once, when no finished one is left: the time fits the count.
  assert told == [(4, 16)]
  assert not third.count.done
  sums.add_all()
  assert told == [(4, 16), (2, 24)]


def test_speed_is_of_the_last_seconds_and_of_the_epoch():
  now = [0.0]
  speed = pending.Speed(clock=lambda: now[0])
  assert speed.now() is speed.mean() is None
  for second, images in (
    (0.0, 0.0),
    (10.0, 1e3),
    (20.0, 1100.0),
    (30.0, 1200.0),
  ):
    now[0] = second
    speed.mark(images)
  assert speed.now() == 10
  assert speed.mean() == 40
  speed.restart()
  assert not speed.is_started()
  speed.mark(0.0)
  assert speed.now() is None  # One mark alone tells no speed.


@pytest.mark.parametrize(
  ("seconds", "words"),
  [
    (0.2, "0 s"),
    (99.0, "99 s"),
    (100.0, "2 min"),
    (359.0, "6 min"),
    (6000.0, "1.7 h"),
    (3 * 86400.0, "3.0 days"),
  ],
)
def test_times_come_in_a_readable_unit(seconds, words):
  assert log_lines.duration(seconds) == words


def test_the_recipe_and_what_flags_change_in_it():
  text = log_lines.recipe("configs/a.py", {"seed": 3, "stage1.epochs": 2})
  assert text.splitlines() == [
    "recipe      configs/a.py",
    "with        seed=3",
    "            stage1.epochs=2",
  ]
