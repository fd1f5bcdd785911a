"""FER+ for the best accuracy per image: as fer2013_best, trained on the votes.

python -m pattlite_jax.main --config configs/ferplus_best.py \
  --config.data.dir=<folder of fer2013.csv and fer2013new.csv> \
  [--config.data.name=ferplus/majority]
"""

from pattlite_jax.config import get_config as get_defaults


def get_config():
  config = get_defaults()
  config.workdir = "runs/ferplus_best"
  config.data.name = "ferplus/argmax"
  config.data.dir = "data/fer2013"
  config.data.soft_targets = True
  config.batch_size = 64
  config.global_clipnorm = 3.0
  config.model.attention = "token"
  config.model.image_size = 112  # Faces have 48 pixels a side.
  config.model.cut = "conv_dw_9_relu"
  config.model.patch_extraction = True
  config.model.patch_stride = 2  # 7x7 -> 2x2 patches, as at 224.
  config.augment.random_flip = True
  config.augment.random_contrast = 0.3
  config.augment.random_rotation = 10.0
  config.augment.random_zoom = 0.1
  config.augment.random_shift = 0.06
  config.augment.random_erasing = 0.5
  config.augment.erasing_min_area = 0.02
  config.augment.erasing_max_area = 0.25
  config.distillation.share = 0.7  # Once there are teachers.

  config.stage1.epochs = 14
  config.stage1.optimizer = "adamw"
  config.stage1.learning_rate = 1e-3
  config.stage1.weight_decay = 0.02
  config.stage1.schedule = "cosine"
  config.stage1.warmup_epochs = 1.0
  config.stage1.ema_decay = 0.999
  config.stage1.class_weights = False
  config.stage1.label_smoothing = 0.0  # The votes say how sure a label is.
  config.stage1.trunk = "all"
  config.stage1.trunk_statistics = "batch"
  config.stage1.spatial_dropout = 0.1
  config.stage1.pooled_dropout = 0.1
  config.stage1.monitor = "val_accuracy"
  config.stage1.patience = 0  # The learning rate has to fall to its end.
  config.stage1.min_delta = 0.0  # The best epoch, by however little.
  config.stage1.min_learning_rate = 1e-6

  # Skipped; with --config.stage2.epochs it is the published second stage.
  config.stage2.epochs = 0
  config.stage2.optimizer = "adam"
  config.stage2.learning_rate = 1e-5
  config.stage2.decay_epochs = 80.0
  config.stage2.trunk = "frozen"
  config.stage2.trunk_statistics = "imagenet"
  config.stage2.spatial_dropout = 0.2
  config.stage2.pooled_dropout = 0.2
  config.stage2.attended_dropout = 0.2
  config.stage2.monitor = "train_accuracy"
  config.stage2.patience = 20
  config.stage2.min_delta = 0.003
  config.stage2.min_learning_rate = 1e-6

  config.eval.batch_size = 32
  config.eval.order = "class_sorted"  # Matters to attention "batch" alone.
  return config
