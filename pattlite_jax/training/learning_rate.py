"""The learning rate of a stage, as a pure function of its step.

It is base x schedule(step) x plateau, where the plateau's factor
(`callbacks.Plateau.factor`) is the only state. The optimizer takes it in two
parts: `of_epoch`, set between epochs, and `factor`, computed in the step.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, Int


@dataclasses.dataclass(frozen=True)
class LearningRate:
  """The schedule of one stage; its steps and epochs count from 0."""

  base: float
  schedule: str  # "by_epoch" or "cosine".
  steps_per_epoch: int
  num_epochs: int  # The stage's, at most.
  warmup_epochs: float = 0.0
  decay_epochs: float = 0.0
  step_epochs: int = 0
  step_factor: float = 1.0
  # Keras' index of the stage's first epoch, which the decay counts from.
  first_epoch: int = 0

  @property
  def num_steps(self) -> int:
    """Steps of the stage, at most."""
    return self.num_epochs * self.steps_per_epoch

  def __call__(self, step: int, plateau: float = 1.0) -> float:
    """Returns the learning rate of a step of the stage."""
    rate = self.of_epoch(step // self.steps_per_epoch, plateau)
    return rate if self.factor is None else rate * float(self.factor(step))

  def of_epoch(self, epoch: int, plateau: float = 1.0) -> float:
    """Returns the part that is the same in all steps of an epoch.

    With `decay_epochs` it falls as Keras' InverseTimeDecay of decay rate 1,
    indexed by epoch as in the notebook; with `step_epochs` as PyTorch's StepLR.
    """
    rate = self.base * plateau
    if self.step_epochs:
      rate *= self.step_factor ** (epoch // self.step_epochs)
    if self.decay_epochs:
      rate /= 1 + (self.first_epoch + epoch) / self.decay_epochs
    return rate

  @property
  def factor(self) -> Callable[[Any], Any] | None:
    """The part that changes with each step of the stage, if any does."""
    if self.schedule == "by_epoch":
      return None
    return self._cosine

  def _cosine(self, step: Int[Array, ""] | int) -> Float[Array, ""]:
    """Rises to 1 in a line at the last warm-up step, then falls to 0.

    It falls along half a cosine, and would reach 0 after the last step.
    """
    warmup_steps = round(self.warmup_epochs * self.steps_per_epoch)
    rising = (step + 1) / max(warmup_steps, 1)
    done = (step - warmup_steps) / max(self.num_steps - warmup_steps, 1)
    falling = 0.5 * (1 + jnp.cos(jnp.pi * jnp.clip(done, 0, 1)))
    return jnp.where(step < warmup_steps, rising, falling)
