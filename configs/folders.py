"""Your own classes: fine-tunes a network that the package brings, in minutes.

docs/own_data.md says how to lay out the folder.

python -m pattlite_jax.main --config configs/folders.py \
  --config.data.dir=<folder of train/, or of one folder a class>
"""

from pattlite_jax.config import get_config as get_defaults


def get_config():
  config = get_defaults()
  config.workdir = "runs/folders"
  config.start_from = "ferplus"  # Whose values config.model has.
  config.data.name = "folders"
  config.data.dir = "data/folders"
  config.data.image_size = 112  # Pixels a side, if yours differ in size.
  config.batch_size = 32
  config.global_clipnorm = 3.0
  config.model.attention = "token"
  config.model.image_size = 112
  config.model.cut = "conv_dw_9_relu"
  config.model.patch_extraction = True
  config.model.patch_stride = 2
  config.model.patch_batch_norm = True
  config.model.scaled_attention = True
  config.augment.random_flip = True
  config.augment.random_contrast = 0.3
  config.augment.random_rotation = 10.0
  config.augment.random_zoom = 0.1
  config.augment.random_shift = 0.06
  config.log_every_steps = 10

  config.stage1.epochs = 12
  config.stage1.optimizer = "adamw"
  config.stage1.learning_rate = 3e-4
  config.stage1.weight_decay = 0.02
  config.stage1.schedule = "cosine"
  config.stage1.warmup_epochs = 1.0
  config.stage1.label_smoothing = 0.1
  config.stage1.trunk = "all"
  config.stage1.trunk_statistics = "imagenet"  # A few images give poor ones.
  config.stage1.spatial_dropout = 0.1
  config.stage1.pooled_dropout = 0.1
  config.stage1.monitor = "val_accuracy"
  return config
