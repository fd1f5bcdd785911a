"""RAF-DB basic: 12,271 train faces, a tenth of them kept for validation.

3,068 test faces, 7 classes; the split is published in docs/data.md.

python -m pattlite_jax.main --config configs/raf_db.py \
  --config.data.dir=<folder that holds basic/>
"""

from configs import default


def get_config():
  config = default.get_config()
  config.workdir = "runs/raf_db"
  config.data.name = "raf_db"
  config.data.dir = "data/raf_db"
  return config
