"""One process per side, timed in turns.

Apart, no side meets another's thread pools; in turns, the machine's noise meets
all of them. All have the same memory settings.
"""

import contextlib
import importlib
import multiprocessing
import time
import traceback
from collections.abc import Iterator, Sequence
from typing import Any

from pattlite_jax.benchmark import summary, work
from pattlite_jax.runtime import startup

OURS = "ours"
# Module and options of each side.
SIDES: dict[str, tuple[str, dict[str, Any]]] = {
  OURS: ("ours", {}),
  "keras": ("keras_side", {}),
  "torch": ("torch_side", {}),
  "torch_compile": ("torch_side", {"compiled": True}),
  "onnxruntime": ("onnxruntime_side", {}),
}
_PAUSE = 0.05  # Seconds: thread pools stop spinning before another's turn.


class Worker:
  """The process of one side; use it in a `with` statement."""

  def __init__(self, side: str, dtype: str, steps_per_dispatch: int):
    context = multiprocessing.get_context("spawn")
    self.side = side
    self._connection, theirs = context.Pipe()
    self._process = context.Process(
      target=_serve, args=(theirs, side, dtype, steps_per_dispatch)
    )
    self._process.start()
    theirs.close()

  def __enter__(self):
    return self

  def __exit__(self, *_):
    self._connection.close()
    self._process.join(timeout=10)
    self._process.kill()

  def prepare(self, what: str, batch_size: int) -> Any:
    """Builds what is timed next: "forward", "stage1" or "stage2".

    Returns the probabilities for "forward", else None. Raises RuntimeError
    with the side's traceback where it cannot.
    """
    return self._ask("prepare", what, batch_size)

  def seconds(self, count: int) -> float:
    """Returns the seconds of one of `count` computations."""
    return self._ask("seconds", count)

  def _ask(self, *request: Any) -> Any:
    self._connection.send(request)
    try:
      failed, answer = self._connection.recv()
    except EOFError:
      raise RuntimeError(f"The process of {self.side} died.") from None
    if failed:
      raise RuntimeError(f"{self.side} failed:\n{answer}")
    return answer


@contextlib.contextmanager
def open_workers(
  sides: Sequence[str], dtype: str, steps_per_dispatch: int
) -> Iterator[dict[str, Worker]]:
  """Starts a worker for each side, and ends them."""
  with contextlib.ExitStack() as stack:
    yield {
      side: stack.enter_context(Worker(side, dtype, steps_per_dispatch))
      for side in sides
    }


def measure(
  workers: dict[str, Worker], *, rounds: int, seconds: float
) -> dict[str, dict[str, float]]:
  """Times each prepared side in turn, `rounds` times for `seconds` each.

  Returns milliseconds of one computation: the median over rounds ("ms"), and
  the quartiles ("ms_low", "ms_high").
  """
  counts, times = {}, {side: [] for side in workers}
  for side, worker in workers.items():
    worker.seconds(2)  # Settles memory.
    counts[side] = max(1, round(seconds / worker.seconds(1)))
  for _ in range(rounds):
    for side, worker in workers.items():
      time.sleep(_PAUSE)
      worker.seconds(1)  # Wakes its threads.
      times[side].append(worker.seconds(counts[side]))
  return {side: summary.of_seconds(values) for side, values in times.items()}


def _serve(connection, side: str, dtype: str, steps_per_dispatch: int) -> None:
  """Answers a Worker's requests until it hangs up."""
  startup.keep_freed_memory()  # For all sides: it helps the peers, too.
  if side == OURS:
    startup.configure()
  implementation, once = None, None
  with contextlib.suppress(EOFError):
    while True:
      request, *arguments = connection.recv()
      try:
        if request == "seconds":
          answer = _timed(implementation, once, *arguments)
        else:
          implementation = implementation or _make(
            side, dtype, steps_per_dispatch
          )
          once, answer = _prepared(implementation, *arguments)
        connection.send((False, answer))
      except Exception:
        connection.send((True, traceback.format_exc()))


def _make(side: str, dtype: str, steps_per_dispatch: int) -> work.Side:
  module, options = SIDES[side]
  module = importlib.import_module(f"pattlite_jax.benchmark.{module}")
  return module.Side(work.make_work(dtype, steps_per_dispatch), **options)


def _prepared(side: work.Side, what: str, batch_size: int):
  if what == "forward":
    return side.forward(work.draw_faces(batch_size, work.IMAGE_SIZE))
  return side.train_step(
    what, work.draw_faces(batch_size, work.FACE_SIZE)
  ), None


def _timed(side: Any, once: Any, count: int) -> float:
  output = None
  start = time.perf_counter()
  for _ in range(count):
    output = once()
  side.wait(output)
  return (time.perf_counter() - start) / count
