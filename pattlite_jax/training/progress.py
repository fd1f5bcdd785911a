"""Where a run is, beside its TrainState: small, and kept as JSON."""

import dataclasses
from typing import Any

from pattlite_jax.scoring import metrics
from pattlite_jax.training.callbacks import EarlyStopping, Plateau


@dataclasses.dataclass(frozen=True)
class Progress:
  """The place of a run in its stages and epochs, and its callbacks' state."""

  stage: int = 0  # Index into config.STAGES.
  epoch: int = 0  # Keras' index of the epoch under way.
  stage_epochs: int = 0  # Epochs finished in this stage.
  epochs: int = 0  # Epochs finished in all.
  plateau: Plateau = dataclasses.field(default_factory=Plateau)
  stopping: EarlyStopping = dataclasses.field(default_factory=EarlyStopping)
  sums: dict[str, float] = dataclasses.field(default_factory=metrics.zero)
  history: tuple[dict[str, Any], ...] = ()  # One record an epoch.
  # {step, field, old, new} of each value that config.resume=force let change.
  config_changes: tuple[dict[str, Any], ...] = ()

  def to_json(self) -> dict[str, Any]:
    """Returns the fields as JSON takes them."""
    return dataclasses.asdict(self) | {
      "history": list(self.history),
      "config_changes": list(self.config_changes),
    }

  @classmethod
  def from_json(cls, fields: dict[str, Any]) -> "Progress":
    """Undoes `to_json`."""
    records: dict[str, Any] = {
      "plateau": Plateau(**fields["plateau"]),
      "stopping": EarlyStopping(**fields["stopping"]),
      "history": tuple(fields["history"]),
      "config_changes": tuple(fields["config_changes"]),
    }
    return cls(**(fields | records))

  @property
  def first_epoch(self) -> int:
    """Keras' index of the stage's first epoch."""
    return self.epoch - self.stage_epochs

  @property
  def epochs_before(self) -> int:
    """Epochs finished in the stages before this one."""
    return self.epochs - self.stage_epochs

  def enter(self, stage: int) -> "Progress":
    """Returns the start of a stage, after those before it.

    The second counts on from history.epoch[-5] of the first, as the notebook.
    """
    return Progress(
      stage=stage,
      epoch=max(self.stage_epochs - 5, 0) if stage else 0,
      epochs=self.epochs,
      history=self.history,
      config_changes=self.config_changes,
    )

  def finish_epoch(self, record: dict[str, Any], **changes) -> "Progress":
    """Returns the start of the next epoch."""
    return dataclasses.replace(
      self,
      epoch=self.epoch + 1,
      stage_epochs=self.stage_epochs + 1,
      epochs=self.epochs + 1,
      sums=metrics.zero(),
      history=(*self.history, record),
      **changes,
    )
