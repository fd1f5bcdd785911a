"""FER2013 for the best accuracy per image: one stage, the whole trunk trains.

python -m pattlite_jax.main --config configs/fer2013_best.py \
  --config.data.dir=<folder of fer2013.csv> [--config.stage1.epochs=30]
"""

from configs import default


def get_config():
  config = default.get_config()
  config.workdir = "runs/fer2013_best"
  config.data.name = "fer2013"
  config.data.dir = "data/fer2013"
  config.batch_size = 64
  config.model.image_size = 112  # Faces have 48 pixels a side.
  config.model.patch_stride = 2  # 7x7 -> 2x2 patches, as at 224.

  config.augment.random_rotation = 10.0
  config.augment.random_zoom = 0.1
  config.augment.random_shift = 0.06
  config.augment.random_erasing = 0.5

  config.stage1.epochs = 14
  config.stage1.trunk = "all"
  config.stage1.trunk_statistics = "batch"
  config.stage1.optimizer = "adamw"
  config.stage1.learning_rate = 1e-3
  config.stage1.weight_decay = 0.02
  config.stage1.schedule = "cosine"
  config.stage1.warmup_epochs = 1.0
  config.stage1.plateau_patience = 0
  config.stage1.patience = 0  # The rate has to fall to its end.
  config.stage1.min_delta = 0.0  # The best epoch, by however little.
  config.stage1.ema_decay = 0.999
  config.stage1.class_weights = False
  config.stage1.label_smoothing = 0.1
  config.stage1.spatial_dropout = 0.1
  config.stage2.epochs = 0
  return config
