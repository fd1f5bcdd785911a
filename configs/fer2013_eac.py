"""FER2013 with Erasing Attention Consistency, trained as fer2013_best is.

The paper's own recipe differs: its networks come from faces, and it takes Adam
at 1e-4 for 60 epochs of 32 images a step.

python -m pattlite_jax.main --config configs/fer2013_eac.py \
  --config.data.dir=<folder of fer2013.csv>
"""

from pattlite_jax.config import get_config as get_defaults


def get_config():
  config = get_defaults()
  config.method = "eac"
  config.workdir = "runs/fer2013_eac"
  config.data.name = "fer2013"
  config.data.dir = "data/fer2013"
  config.batch_size = 64
  config.global_clipnorm = 3.0
  config.model.image_size = 112  # Faces have 48 pixels a side.
  config.model.cut = "conv_dw_9_relu"
  config.model.consistency_weight = 5.0
  config.augment.random_flip = True
  config.augment.random_contrast = 0.3
  config.augment.random_rotation = 10.0
  config.augment.random_zoom = 0.1
  config.augment.random_shift = 0.06
  config.augment.random_erasing = 0.5  # The E of the name; both views have it.
  config.augment.erasing_min_area = 0.02
  config.augment.erasing_max_area = 0.25

  config.stage1.epochs = 14
  config.stage1.optimizer = "adamw"
  config.stage1.learning_rate = 1e-3
  config.stage1.weight_decay = 0.02
  config.stage1.schedule = "cosine"
  config.stage1.warmup_epochs = 1.0
  config.stage1.ema_decay = 0.999
  config.stage1.label_smoothing = 0.1
  config.stage1.trunk = "all"
  config.stage1.trunk_statistics = "batch"
  config.stage1.monitor = "val_accuracy"
  return config
