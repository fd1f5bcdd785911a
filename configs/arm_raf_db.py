"""RAF-DB with the Amending Representation Module, as its authors train it.

Their weights of ResNet-18 are ImageNet's (torchvision). Sharing is that of the
training, so that each image has its own prediction; theirs is
--config.model.sharing=batch. They keep the best epoch on the test set, we that
on a tenth of the training images.

python -m pattlite_jax.main --config configs/arm_raf_db.py \
  --config.data.dir=<folder that holds basic/> \
  --config.model.trunk_weights=<resnet18.safetensors or .pth>
"""

from pattlite_jax.config import get_config as get_defaults


def get_config():
  config = get_defaults()
  config.workdir = "runs/arm_raf_db"
  config.data.name = "raf_db"
  config.data.dir = "data/raf_db"
  config.method = "arm"
  config.batch_size = 256
  config.model.trunk = "resnet18"
  config.model.trunk_weights = "data/weights/resnet18.safetensors"
  config.model.image_size = 224
  config.model.sharing = "constant"  # "batch" is the released one.
  config.augment.flip_or_noise = 0.5
  config.augment.noise_deviation = 5.477  # A variance of 30.
  config.augment.random_erasing = 0.5
  config.augment.erasing_min_area = 0.02
  config.augment.erasing_max_area = 0.1
  config.augment.erasing_fill = "imagenet_mean"

  config.stage1.epochs = 70
  config.stage1.optimizer = "adam"
  config.stage1.learning_rate = 1e-3
  config.stage1.weight_decay = 1e-4
  config.stage1.schedule = "by_epoch"
  config.stage1.step_epochs = 1
  config.stage1.step_factor = 0.9
  config.stage1.trunk = "all"
  config.stage1.trunk_statistics = "batch"
  config.stage1.monitor = "val_accuracy"

  config.eval.batch_size = 64
  config.eval.order = "official"
  return config
