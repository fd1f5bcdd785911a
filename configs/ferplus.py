"""FER+ labels on FER2013's faces, 8 classes; two rules to read the votes.

majority (Microsoft's own): 25,060 train, 3,199 validation, 3,153 test faces;
argmax: 28,389, 3,553 and 3,546.

The recipe is that of PAtt-Lite's notebook (arXiv 2306.09626), in full.

python -m pattlite_jax.main --config configs/ferplus.py \
  --config.data.dir=<folder of fer2013.csv and fer2013new.csv> \
  [--config.data.name=ferplus/argmax]
"""

from pattlite_jax.config import get_config as get_defaults


def get_config():
  config = get_defaults()
  config.workdir = "runs/ferplus"
  config.data.name = "ferplus/majority"
  config.data.dir = "data/fer2013"
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
