"""RAF-DB with CBAM, balanced class weights and relative uncertainty.

An approximation of arXiv 2212.07751, whose recipe is not public. This one is
that of Relative Uncertainty Learning, which starts from MS-Celeb's ResNet-18,
has ten times the learning rate for its heads, and chooses the epoch on the test
set.

python -m pattlite_jax.main --config configs/cbam_rul_raf_db.py \
  --config.data.dir=<folder that holds basic/> \
  --config.model.trunk_weights=<torchvision's ResNet-18, .pth or .safetensors>
"""

from pattlite_jax.config import get_config as get_defaults


def get_config():
  config = get_defaults()
  config.method = "cbam_rul"
  config.workdir = "runs/cbam_rul_raf_db"
  config.data.name = "raf_db"
  config.data.dir = "data/raf_db"
  config.batch_size = 64
  config.model.image_size = 224
  config.model.trunk = "resnet18"
  config.model.trunk_weights = "data/resnet18.pth"
  config.model.embedding_size = 64
  config.model.embedding_dropout = 0.4
  config.augment.flip_or_noise = 0.5
  config.augment.noise_deviation = 5.477  # A variance of 30.
  config.augment.random_erasing = 0.5
  config.augment.erasing_fill = "imagenet_mean"
  config.augment.erasing_min_area = 0.02
  config.augment.erasing_max_area = 0.25

  config.stage1.epochs = 60
  config.stage1.optimizer = "adam"
  config.stage1.learning_rate = 2e-4
  config.stage1.weight_decay = 1e-4
  config.stage1.schedule = "by_epoch"
  config.stage1.step_epochs = 1
  config.stage1.step_factor = 0.9
  config.stage1.class_weights = True
  config.stage1.trunk = "all"
  config.stage1.trunk_statistics = "batch"
  config.stage1.monitor = "val_accuracy"
  return config
