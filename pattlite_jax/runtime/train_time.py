"""How long a run has trained, by the clock of its TensorBoard logs."""

from collections.abc import Iterator

from etils import epath


def hours(workdir: epath.Path) -> float | None:
  """Returns the hours of a run's processes together; None without logs.

  A run that was stopped and went on has a log of each process; what lies
  between them does not count.
  """
  spans = [_seconds(path) for path in sorted(workdir.glob("events.*"))]
  return sum(spans) / 3600 if spans else None


def _seconds(log: epath.Path) -> float:
  times = list(_times(log))
  return max(times) - min(times) if times else 0.0


def _times(log: epath.Path) -> Iterator[float]:
  from tensorboard.backend.event_processing import event_file_loader

  loader = event_file_loader.EventFileLoader(str(log))
  for event in loader.Load():
    yield event.wall_time
