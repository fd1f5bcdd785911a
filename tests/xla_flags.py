"""XLA's flags, which a process reads before it computes anything."""

import os

import jax


def compile_fast():
  """Lets an older part of XLA make the loops, in a third of the time.

  JAX 0.11 has it no more, and takes no flag that it does not know.
  """
  if jax.__version_info__ < (0, 11):
    os.environ["XLA_FLAGS"] = with_("--xla_cpu_use_fusion_emitters=false")


def for_devices(count):
  """Returns the flags in use and one that simulates so many devices."""
  return with_(f"--xla_force_host_platform_device_count={count}")


def with_(flag):
  return f"{os.environ.get('XLA_FLAGS', '')} {flag}".strip()
