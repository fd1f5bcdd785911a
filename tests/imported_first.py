"""What takes long to import, for tests to have before pattlite_jax.

That is checked by jaxtyping, whose hook imports what the package imports
without its bytecode: of these, that takes twenty seconds.
"""
# ruff: noqa: F401

import flax.linen
import keras
import optax
import orbax.checkpoint
import tensorflow
