"""Where a run is, beside its TrainState: small, and kept as JSON."""

import dataclasses
from typing import Any

from pattlite_jax.scoring import metrics
from pattlite_jax.training import recipe


@dataclasses.dataclass(frozen=True)
class Progress:
  """The place of a run in its stages and epochs, and its callbacks' state."""

  stage: int = 0  # Index into config.STAGES.
  epoch: int = 0  # Keras' index of the epoch under way.
  stage_epochs: int = 0  # Epochs finished in this stage.
  epochs: int = 0  # Epochs finished in all.
  learning_rate: float = 0.0
  plateau: recipe.Plateau = dataclasses.field(default_factory=recipe.Plateau)
  stopping: recipe.EarlyStopping = dataclasses.field(
    default_factory=recipe.EarlyStopping
  )
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
      "plateau": recipe.Plateau(**fields["plateau"]),
      "stopping": recipe.EarlyStopping(**fields["stopping"]),
      "history": tuple(fields["history"]),
      "config_changes": tuple(fields["config_changes"]),
    }
    return cls(**(fields | records))

  def enter(self, stage: int, learning_rate: float) -> "Progress":
    """Returns the start of a stage, after those before it."""
    first_epoch = recipe.initial_epoch(self.stage_epochs) if stage else 0
    return Progress(
      stage=stage,
      epoch=first_epoch,
      epochs=self.epochs,
      learning_rate=learning_rate,
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
