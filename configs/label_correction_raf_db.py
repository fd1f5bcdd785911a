"""RAF-DB with confidence weights, ranking and relabelling.

What ULC-AG (arXiv 2204.11053) and MTAC (2212.07144) share with the Self-Cure
Network, whose sizes, batches, epochs and erasing these are. That takes Adam at
1e-3, which falls by a tenth each epoch, and chooses the epoch on the test set.

python -m pattlite_jax.main --config configs/label_correction_raf_db.py \
  --config.data.dir=<folder that holds basic/> \
  --config.model.trunk_weights=<torchvision's ResNet-18, .pth or .safetensors>
"""

from pattlite_jax.config import get_config as get_defaults


def get_config():
  config = get_defaults()
  config.method = "label_correction"
  config.workdir = "runs/label_correction_raf_db"
  config.data.name = "raf_db"
  config.data.dir = "data/raf_db"
  config.batch_size = 64
  config.model.image_size = 224
  config.model.trunk = "resnet18"
  config.model.trunk_weights = "data/resnet18.pth"
  config.model.sure_share = 0.7
  config.model.rank_margin = 0.15
  config.model.relabel_margin = 0.2
  config.model.relabel_after_epochs = 10.0
  config.augment.flip_or_noise = 0.5
  config.augment.noise_deviation = 5.477  # A variance of 30.
  config.augment.random_erasing = 0.5
  config.augment.erasing_fill = "imagenet_mean"
  config.augment.erasing_min_area = 0.02
  config.augment.erasing_max_area = 0.25

  config.stage1.epochs = 70
  config.stage1.optimizer = "adamw"
  config.stage1.learning_rate = 1e-3
  config.stage1.weight_decay = 1e-4
  config.stage1.schedule = "cosine"
  config.stage1.trunk = "all"
  config.stage1.trunk_statistics = "batch"
  config.stage1.monitor = "val_accuracy"
  return config
