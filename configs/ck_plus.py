"""CK+: the last three frames of 327 sequences of 118 people, 7 classes.

Ten folds that never share a person: fold k is tested, fold k + 1 validates.

The recipe is that of PAtt-Lite's notebook (arXiv 2306.09626), in full.

python -m pattlite_jax.main --config configs/ck_plus.py \
  --config.data.dir=<folder of cohn-kanade-images, Emotion, Landmarks> \
  [--config.data.name=ck_plus/fold3]
"""

from pattlite_jax.config import get_config as get_defaults


def get_config():
  config = get_defaults()
  config.workdir = "runs/ck_plus"
  config.data.name = "ck_plus/fold0"
  config.data.dir = "data/ck_plus"
  config.batch_size = 8
  config.global_clipnorm = 3.0
  config.model.attention = "token"  # Per image; "batch" is the published one.
  config.model.image_size = 224
  config.model.cut = "conv_dw_9_relu"
  config.model.patch_extraction = True
  config.model.patch_stride = 4
  config.augment.random_flip = True
  config.augment.random_contrast = 0.3
  config.distillation.share = 0.7  # Once there are teachers.

  config.stage1.epochs = 100
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

  config.stage2.epochs = 500
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
