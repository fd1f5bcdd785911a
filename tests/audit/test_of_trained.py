"""Networks of this project as the audit calls them: in full precision."""

import jax
import jax.numpy as jnp
import numpy as np

from pattlite_jax.audit import of_trained
from pattlite_jax.trained import Trained


class Lowered(Trained):
  """Its "logits" say in which precision a product is computed at the time."""

  def predictor(self, attention=None):
    assert self.config.model.dtype == "float32"

    def precision(examples, batch_size):
      x = jnp.zeros((2, 2))
      text = jax.jit(lambda a, b: a @ b).lower(x, x).as_text()
      return np.full((batch_size, 1), "HIGHEST" in text, np.float32)

    return precision


def test_the_audit_computes_in_full_precision_and_leaves_the_setting(
  small_config,
):
  small_config.model.dtype = "bfloat16"
  before = jax.config.jax_default_matmul_precision
  assert before != "highest"
  network = Lowered({}, small_config, ("a", "b"))
  logits_of = of_trained.logits_of(network)
  assert jax.config.jax_default_matmul_precision == before
  assert logits_of(np.zeros((3, 4, 4, 1), np.uint8)).tolist() == [[1.0]] * 3
  assert jax.config.jax_default_matmul_precision == before
  assert network.config.model.dtype == "bfloat16"  # A copy was changed.
  x = jnp.zeros((2, 2))
  assert "HIGHEST" not in jax.jit(lambda a, b: a @ b).lower(x, x).as_text()
