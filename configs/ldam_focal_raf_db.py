"""RAF-DB with margins by class size, a focal factor and balancing weights.

An approximation of arXiv 2205.12117, which has no recipe for faces: the losses
have the values of their own papers, the phases and the rest are ours.

python -m pattlite_jax.main --config configs/ldam_focal_raf_db.py \
  --config.data.dir=<folder that holds basic/>
"""

from pattlite_jax.config import get_config as get_defaults


def get_config():
  config = get_defaults()
  config.method = "ldam_focal"
  config.workdir = "runs/ldam_focal_raf_db"
  config.data.name = "raf_db"
  config.data.dir = "data/raf_db"
  config.batch_size = 64
  config.global_clipnorm = 3.0
  config.model.image_size = 112
  config.model.trunk = "mobilenet_v1"
  config.model.trunk_weights = "imagenet"
  config.model.cut = "conv_dw_9_relu"
  config.model.logit_scale = 30.0
  config.model.largest_margin = 0.5
  config.model.focal_gamma = 2.0
  config.model.balanced_from = 0.4
  config.model.balanced_by = 0.8
  config.augment.random_flip = True
  config.augment.random_contrast = 0.3
  config.augment.random_rotation = 10.0
  config.augment.random_zoom = 0.1
  config.augment.random_shift = 0.06
  config.augment.random_erasing = 0.5
  config.augment.erasing_min_area = 0.02
  config.augment.erasing_max_area = 0.25

  config.stage1.epochs = 40
  config.stage1.optimizer = "adamw"
  config.stage1.learning_rate = 1e-3
  config.stage1.weight_decay = 0.02
  config.stage1.schedule = "cosine"
  config.stage1.warmup_epochs = 1.0
  config.stage1.ema_decay = 0.999
  config.stage1.trunk = "all"
  config.stage1.trunk_statistics = "batch"
  config.stage1.monitor = "val_accuracy"
  return config
