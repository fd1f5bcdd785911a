"""Drawn faces, 7 expressions: needs no data and minutes on a laptop's CPU.

python -m pattlite_jax.main --config configs/synthetic.py
"""

from configs import default


def get_config():
  config = default.get_config()
  config.workdir = "runs/synthetic"
  config.data.name = "synthetic_faces"
  config.batch_size = 32
  config.model.image_size = 112  # A quarter of the work of 224.
  config.model.patch_stride = 2  # 7x7 -> 2x2 patches, as at 224.
  config.stage1.epochs = 12
  config.stage2.epochs = 4
  config.log_every_steps = 20
  return config
