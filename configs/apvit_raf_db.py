"""RAF-DB with APViT (arXiv 2212.05463), on IR-50 and aligned 112-pixel faces.

Sizes, sampling, augmentation, epochs and batches are those of the authors'
`configs/apvit`. What differs: AdamW at 1e-4 in place of SGD at 1e-3 with
momentum, as the transformer starts from random weights and not from ImageNet's;
the faces are RAF-DB's own aligned ones, not re-aligned; and the epoch is chosen
on held-out training images, not on the test set.

python -m pattlite_jax.main --config configs/apvit_raf_db.py \
  --config.data.dir=<folder that holds basic/> \
  --config.model.trunk_weights=<face.evoLVe's IR-50, .pth or .safetensors>
"""

from pattlite_jax.config import get_config as get_defaults


def get_config():
  config = get_defaults()
  config.method = "apvit"
  config.workdir = "runs/apvit_raf_db"
  config.data.name = "raf_db"
  config.data.dir = "data/raf_db"
  config.data.sampling = "repeat_rare"
  config.batch_size = 128
  config.global_clipnorm = 10.0
  config.model.image_size = 112
  config.model.trunk = "ir50"
  config.model.trunk_weights = "data/backbone_ir50_ms1m_epoch120.pth"
  config.model.depth = 8
  config.model.width = 768
  config.model.heads = 8
  config.augment.random_flip = True
  config.augment.random_rotation = 6.0
  config.augment.warp_share = 0.5
  config.augment.random_crop = 0.8
  config.augment.random_grey = 0.2
  config.augment.random_jitter = 0.8
  config.augment.jitter_strength = 0.4
  config.augment.jitter_hue = 0.1
  config.augment.random_erasing = 0.5
  config.augment.erasing_min_area = 0.02
  config.augment.erasing_max_area = 0.33
  config.augment.erasing_fill = "noise"

  config.stage1.epochs = 40
  config.stage1.optimizer = "adamw"
  config.stage1.learning_rate = 1e-4
  config.stage1.weight_decay = 5e-4
  config.stage1.schedule = "cosine"
  config.stage1.warmup_epochs = 2.0
  config.stage1.trunk = "all"
  config.stage1.trunk_statistics = "batch"
  config.stage1.monitor = "val_accuracy"
  return config
