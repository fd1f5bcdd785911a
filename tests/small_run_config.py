"""The config of a small run, which compiles in seconds."""

from pattlite_jax import config as config_lib


def make(workdir):
  """Two stages of two epochs, on one block of the trunk at 24 px."""
  config = config_lib.get_config()
  config.workdir = str(workdir)
  config.data.name = "synthetic_faces"
  config.batch_size = 4
  config.global_clipnorm = 3.0
  config.model.image_size = 24
  config.model.cut = "conv_pw_1_relu"
  config.augment.random_flip = True
  config.augment.random_contrast = 0.3
  config.distillation.share = 0.7
  for stage in (config.stage1, config.stage2):
    stage.epochs = 2
    stage.trunk = "frozen"
    stage.trunk_statistics = "imagenet"
    stage.min_delta = 0.003
    stage.min_learning_rate = 1e-6
  config.stage1.learning_rate = 1e-3
  config.stage1.class_weights = True
  config.stage1.pooled_dropout = 0.1
  config.stage1.plateau_patience = 3
  config.stage1.patience = 5
  config.stage2.learning_rate = 1e-5
  config.stage2.decay_epochs = 80.0
  config.stage2.spatial_dropout = 0.2
  config.stage2.pooled_dropout = 0.2
  config.stage2.attended_dropout = 0.2
  config.stage2.monitor = "train_accuracy"
  config.stage2.patience = 20
  config.eval.order = "class_sorted"
  config.log_every_steps = 2
  return config
