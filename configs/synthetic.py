"""Drawn faces, 7 expressions: needs no data and minutes on a laptop's CPU.

Values are the published recipe at half the size, with fewer epochs.

python -m pattlite_jax.main --config configs/synthetic.py
"""

from pattlite_jax.config import get_config as get_defaults


def get_config():
  config = get_defaults()
  config.workdir = "runs/synthetic"
  config.data.name = "synthetic_faces"
  config.batch_size = 32
  config.global_clipnorm = 3.0
  config.model.attention = "token"  # Per image; "batch" is the published one.
  config.model.image_size = 112  # A quarter of the work of 224.
  config.model.cut = "conv_dw_9_relu"
  config.model.patch_extraction = True
  config.model.patch_stride = 2  # 7x7 -> 2x2 patches, as at 224.
  config.augment.random_flip = True
  config.augment.random_contrast = 0.3
  config.distillation.share = 0.7  # Once there are teachers.
  config.log_every_steps = 20

  config.stage1.epochs = 12
  config.stage1.optimizer = "adam"
  config.stage1.learning_rate = 1e-3
  config.stage1.class_weights = True
  config.stage1.trunk = "frozen"
  config.stage1.trunk_statistics = "imagenet"
  config.stage1.pooled_dropout = 0.1
  config.stage1.monitor = "val_accuracy"
  config.stage1.patience = 5
  config.stage1.min_delta = 0.003
  config.stage1.plateau_patience = 3
  config.stage1.plateau_factor = 0.1
  config.stage1.min_learning_rate = 1e-6

  config.stage2.epochs = 4
  config.stage2.optimizer = "adam"
  config.stage2.learning_rate = 1e-5
  config.stage2.decay_epochs = 80.0
  config.stage2.trunk = "frozen"  # All that the notebook unfreezes is a ReLU.
  config.stage2.trunk_statistics = "imagenet"
  config.stage2.spatial_dropout = 0.2
  config.stage2.pooled_dropout = 0.2
  config.stage2.attended_dropout = 0.2
  config.stage2.monitor = "train_accuracy"
  config.stage2.patience = 20
  config.stage2.min_delta = 0.003
  config.stage2.plateau_factor = 0.1
  config.stage2.min_learning_rate = 1e-6

  config.eval.batch_size = 32  # The default of Keras' evaluate.
  config.eval.order = "class_sorted"  # As the published test files.
  return config
