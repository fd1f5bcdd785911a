"""Prints all fields: python -m pattlite_jax.config."""

from pattlite_jax import config
from pattlite_jax.runtime import output

if __name__ == "__main__":
  output.watch()
  print(config.text())
