"""RAF-DB with the Distract Your Attention Network, as its authors train it.

Their weights of ResNet-18 are of faces (MS-Celeb-1M). They keep the best epoch
on the test set, we that on a tenth of the training images.

python -m pattlite_jax.main --config configs/dan_raf_db.py \
  --config.data.dir=<folder that holds basic/> \
  --config.model.trunk_weights=<resnet18.safetensors or .pth>
"""

from pattlite_jax.config import get_config as get_defaults


def get_config():
  config = get_defaults()
  config.workdir = "runs/dan_raf_db"
  config.data.name = "raf_db"
  config.data.dir = "data/raf_db"
  config.method = "dan"
  config.batch_size = 256
  config.model.trunk = "resnet18"
  config.model.trunk_weights = "data/weights/resnet18.safetensors"
  config.model.image_size = 224
  config.model.head_features = 256
  config.model.centers = 8  # As in the code; the eighth has no class.
  config.augment.random_flip = True
  config.augment.random_rotation = 20.0
  config.augment.random_shift = 32 / 224
  config.augment.warp_share = 0.2
  config.augment.random_erasing = 0.5
  config.augment.erasing_min_area = 0.02
  config.augment.erasing_max_area = 0.25
  config.augment.erasing_fill = "imagenet_mean"

  config.stage1.epochs = 40
  config.stage1.optimizer = "sgd"
  config.stage1.momentum = 0.9
  config.stage1.learning_rate = 0.1
  config.stage1.weight_decay = 1e-4
  config.stage1.schedule = "by_epoch"
  config.stage1.step_epochs = 10
  config.stage1.step_factor = 0.1
  config.stage1.trunk = "all"
  config.stage1.trunk_statistics = "batch"
  config.stage1.monitor = "val_accuracy"

  config.eval.batch_size = 64
  return config
