"""Every field of a run, with its unit and its reason.

The values are the recipe of PAtt-Lite's notebook (arXiv 2306.09626), except
`model.attention`, which is per image here. Other configs change what differs;
`--config.field=value` changes a field for one run.
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
  """Returns the locked config; a misspelt field is an error."""
  config = ml_collections.ConfigDict()
  config.workdir = "runs/default"  # Logs, checkpoints, pictures, result.json.
  # If the workdir holds a run whose config or data differ: "same" is an error
  # that shows how, "force" goes on with the new values and records them.
  config.resume = "same"
  config.seed = 0  # Of weights, order of the images, augmentation, dropout.
  config.batch_size = 8  # Images a step, over all devices.

  # Steps that the devices take without the host, with the same results. More
  # helps GPUs and TPUs at small batches; CPUs are fastest with 1.
  config.steps_per_dispatch = 1

  config.method = "pattlite"  # Or "eac".

  config.data = ml_collections.ConfigDict()
  config.data.name = ""  # As evaluate --dataset takes it: "ferplus/majority".
  config.data.dir = ""  # Where your downloaded files lie (docs/data.md).
  config.data.prepared_dir = "~/.cache/pattlite_jax/datasets"  # TFDS' copies.
  config.data.image_size = 224  # Pixels; only for sets of mixed sizes (CK+).
  # Trains on the shares of the votes for each image, of sets that have votes
  # (FER+), in place of its label; accuracies are still of the label.
  config.data.soft_targets = False
  # A file of pattlite_jax.pack, read in place of `dir`; training then
  # needs neither TensorFlow nor clu, and logs text alone.
  config.data.packed = ""
  config.data.download = False  # Fetch from Kaggle with your credentials.

  # A trained network, as pattlite_jax.load takes it, whose weights the first
  # stage starts from, in place of ImageNet's trunk and a random head.
  config.start_from = ""

  # Trained networks, as pattlite_jax.load takes them and with commas between
  # ("fer2013,runs/other"). What they see in each training image and its mirror
  # image, a mean of probabilities, has a share in its target.
  config.distillation = ml_collections.ConfigDict()
  config.distillation.teachers = ""  # No distillation.
  config.distillation.share = 0.7  # The label keeps the rest.

  config.model = ml_collections.ConfigDict()
  # "token" attends over the patches of one image; "batch" over the images of
  # the batch, as published (predictions then depend on their company); "none".
  config.model.attention = "token"
  config.model.image_size = 224  # Pixels a side that the network sees.
  config.model.cut = "conv_dw_9_relu"  # Last Keras layer of the trunk.
  config.model.patch_extraction = True  # False for the ablation without it.
  config.model.patch_stride = 4  # Of the first patch layer; 2 suits 112 px.
  config.model.trunk_weights = "imagenet"  # Shipped; or a keras_port file.
  config.model.dtype = "float32"  # Of the trunk's and patches' computation.

  config.model.consistency_weight = 5.0  # Of EAC's term of the loss.

  config.augment = ml_collections.ConfigDict()
  config.augment.random_flip = True  # Left to right, one image in two.
  config.augment.random_contrast = 0.3  # Factor within 1 +- this.
  # What follows is not in the published recipe, and off where it is 0.
  config.augment.random_rotation = 0.0  # Degrees, within +- this.
  config.augment.random_zoom = 0.0  # Magnification within 1 +- this.
  config.augment.random_shift = 0.0  # Share of the side, within +- this.
  config.augment.random_erasing = 0.0  # Share of images with a gap.
  config.augment.erasing_min_area = 0.02  # Of the gap, a share of the image.
  config.augment.erasing_max_area = 0.25  # At most.

  config.global_clipnorm = 3.0  # Largest norm of all gradients together.

  config.stage1 = _stage()
  config.stage1.epochs = 100
  config.stage1.learning_rate = 1e-3
  config.stage1.class_weights = True
  config.stage1.pooled_dropout = 0.1
  config.stage1.plateau_patience = 3
  config.stage1.patience = 5

  config.stage2 = _stage()
  config.stage2.epochs = 500
  config.stage2.learning_rate = 1e-5
  config.stage2.decay_epochs = 80.0
  config.stage2.spatial_dropout = 0.2
  config.stage2.pooled_dropout = 0.2
  config.stage2.attended_dropout = 0.2
  config.stage2.monitor = "train_accuracy"  # As published.
  config.stage2.patience = 20

  config.eval = ml_collections.ConfigDict()
  config.eval.batch_size = 32  # The default of Keras' evaluate.
  # Order of the images for attention "batch", the only one that it matters
  # to: "class_sorted" as the published files, "official" or "shuffled".
  config.eval.order = "class_sorted"

  config.checkpoint_every_steps = 1000  # Besides the end of each epoch.
  config.log_every_steps = 100  # Training loss and accuracy to TensorBoard.
  return config.lock()


def _stage() -> ml_collections.ConfigDict:
  stage = ml_collections.ConfigDict()
  stage.epochs = 0  # At most; 0 skips the stage.
  # "adam" as Keras computes it, or "adamw", whose weight_decay is decoupled.
  stage.optimizer = "adam"
  stage.learning_rate = 0.0  # Of the optimizer.
  stage.weight_decay = 0.0  # Of kernels: rate times this a step.
  # "by_epoch": constant but for decay_epochs and plateau_patience, or
  # "cosine": falls at each step, to 0 at the end of the stage's epochs.
  stage.schedule = "by_epoch"
  stage.warmup_epochs = 0.0  # In which the rate rises from 0, before "cosine".
  stage.decay_epochs = 0.0  # lr / (1 + epoch / this); 0 for a constant rate.
  # Of a moving average of the weights, which is then what is validated and
  # kept: its decay a step, such as 0.999; 0 for none.
  stage.ema_decay = 0.0
  stage.class_weights = False  # Loss of class c times n / (K n_c).
  stage.label_smoothing = 0.0  # Share of a target given to all classes alike.
  # "frozen", what the notebook does in both stages, or "all_but_bn": the
  # trunk's convolutions train, as its second stage intends, or "all": so do
  # its batch norm's scales and biases.
  stage.trunk = "frozen"
  # Statistics of the trunk's batch norm: "imagenet" keeps them, as published;
  # "batch" normalises by each batch's and tracks them, as a training from
  # scratch does.
  stage.trunk_statistics = "imagenet"
  stage.spatial_dropout = 0.0  # Of whole channels of the patches.
  stage.pooled_dropout = 0.0  # After pooling ("token": of the patches).
  stage.attended_dropout = 0.0  # After the attention.
  # What early stopping watches, and what chooses the epoch whose weights are
  # kept: "val_accuracy" or "train_accuracy" (running, in training mode).
  stage.monitor = "val_accuracy"
  stage.patience = 5  # Epochs without a gain before it stops; 0 for never.
  stage.min_delta = 0.003  # The least gain in accuracy that counts.
  stage.plateau_patience = 0  # Epochs without a gain in val_accuracy before
  # the learning rate falls; 0 for never.
  stage.plateau_factor = 0.1  # What it is multiplied with then.
  stage.min_learning_rate = 1e-6  # What it never falls below.
  return stage
