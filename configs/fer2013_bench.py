"""FER2013 for the bench of methods: one modern recipe, the same for each.

That of fer2013_best at 64 pixels (a 4x4 map), eight epochs, without dropout;
the last epoch's weights are kept, so that no figure chooses.

python -m pattlite_jax.main --config configs/fer2013_bench.py \
  --config.method=dan --config.data.dir=<folder of fer2013.csv>
"""

from pattlite_jax.config import get_config as get_defaults


def get_config():
  config = get_defaults()
  config.workdir = "runs/fer2013_bench"
  config.data.name = "fer2013"
  config.data.dir = "data/fer2013"
  config.method = "baseline"
  config.batch_size = 64
  config.global_clipnorm = 3.0
  config.model.trunk = "mobilenet_v1"
  config.model.image_size = 64
  config.model.cut = "conv_dw_9_relu"
  config.augment.random_flip = True
  config.augment.random_contrast = 0.3
  config.augment.random_rotation = 10.0
  config.augment.random_zoom = 0.1
  config.augment.random_shift = 0.06
  config.augment.random_erasing = 0.5
  config.augment.erasing_min_area = 0.02
  config.augment.erasing_max_area = 0.25

  config.stage1.epochs = 8
  config.stage1.optimizer = "adamw"
  config.stage1.learning_rate = 1e-3
  config.stage1.weight_decay = 0.02
  config.stage1.schedule = "cosine"
  config.stage1.warmup_epochs = 1.0
  config.stage1.ema_decay = 0.999
  config.stage1.label_smoothing = 0.1
  config.stage1.trunk = "all"
  config.stage1.trunk_statistics = "batch"
  config.stage1.monitor = "last_epoch"

  config.eval.batch_size = 64
  config.eval.order = "class_sorted"  # Matters where images share a batch.
  return config
