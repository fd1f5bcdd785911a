"""What the scorer needs of a network; a `trained.Trained` has it."""

import dataclasses
from typing import Any, Protocol, runtime_checkable

from pattlite_jax.scoring import logits as logits_lib


@dataclasses.dataclass(frozen=True)
class Predictors:
  """What gives the logits of a network under each protocol."""

  alone: logits_lib.LogitsOf
  across_batch: logits_lib.LogitsOf | None  # None unless it mixes its batch.


@runtime_checkable
class Network(Protocol):
  """What is scored; a `trained.Trained`, which scoring does not import."""

  @property
  def config(self) -> Any: ...

  @property
  def class_names(self) -> tuple[str, ...]: ...

  @property
  def attention(self) -> str | None: ...

  @property
  def sharing(self) -> str | None: ...

  @property
  def patch_extraction(self) -> bool | None: ...

  def predictors(self) -> Predictors: ...
