"""Teachers that see what the student sees: asked in every training step.

After Beyer et al., "Knowledge distillation: A good teacher is patient and
consistent" (CVPR 2022, arXiv 2106.05237): all networks get the same augmented
view of an image. A step costs a forward pass of each teacher more.
"""

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from pattlite_jax import trained
from pattlite_jax.data import augment
from pattlite_jax.method import Method, Variables
from pattlite_jax.training import distillation


@dataclasses.dataclass(frozen=True)
class Teachers:
  """Trained networks of any method and size, as a step asks them.

  Attributes:
    variables: of each one; a step takes them as an argument, as what it closes
      over would become part of the compiled program.
    methods: of each one, for scoring.
    image_sizes: pixels a side of what each one sees.
    columns: of each one's logits, in the order of the student's classes.
    temperature: what the logits are divided by before the softmax.
  """

  variables: tuple[Variables, ...]
  methods: tuple[Method, ...]
  image_sizes: tuple[int, ...]
  columns: tuple[tuple[int, ...], ...]
  temperature: float

  def ask(
    self,
    variables: tuple[Variables, ...],
    views: PyTree[Float[Array, "B S S C"]],
    mask: Bool[Array, "B"],
  ) -> Float[Array, "B K"]:
    """Inside a step: the mean probabilities of the teachers.

    Of several views of an image the first is the image itself.
    """
    image = jax.tree.leaves(views)[0]
    probabilities = []
    for i, method in enumerate(self.methods):
      seen = augment.resize(image, self.image_sizes[i])
      logits = method.logits(method.alone, variables[i], seen, mask)
      logits = logits[:, jnp.array(self.columns[i])]
      probabilities.append(jax.nn.softmax(logits / self.temperature))
    return jnp.mean(jnp.stack(probabilities), axis=0)


def make(
  networks: Mapping[str, trained.Trained],
  class_names: tuple[str, ...],
  *,
  temperature: float,
) -> Teachers:
  """Returns the teachers that `distillation.load_teachers` has loaded.

  Raises:
    UserError: if a teacher has other classes than the training images.
  """
  return Teachers(
    variables=tuple(n.method.fold(n.variables) for n in networks.values()),
    methods=tuple(n.method for n in networks.values()),
    image_sizes=tuple(n.config.model.image_size for n in networks.values()),
    columns=tuple(
      distillation.columns(network, name, class_names)
      for name, network in networks.items()
    ),
    temperature=temperature,
  )
