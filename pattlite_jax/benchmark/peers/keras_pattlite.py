"""PAtt-Lite in Keras 3, the oracle of the tests and a peer of the benchmark.

The public notebook of the paper (arXiv 2306.09626) in Keras' own layers, with
switches for what a comparison must hold still: dropout and augmentation.
"""

import keras
import numpy as np

UNFROZEN = 59  # Layers that the second stage means to unfreeze.


def build(
  num_classes=7,
  *,
  attention="batch",
  stage="stage1",
  input_shape=(48, 48, 3),
  image_size=96,
  patch_stride=4,
  cut="conv_dw_9_relu",
  regularised=False,
):
  """Returns the stage's model: pixels 0-255 -> class probabilities.

  `regularised` adds the notebook's augmentation and dropout. Attention "batch"
  is the published layer, "token" and "none" are its per-image variants.
  """
  backbone = keras.applications.MobileNet(
    input_shape=(image_size, image_size, 3), include_top=False, weights=None
  )
  backbone.trainable = False
  base = keras.Model(
    backbone.input, backbone.get_layer(cut).output, name="base"
  )
  images = keras.Input(input_shape)
  x = keras.layers.Resizing(image_size, image_size)(images)
  if regularised:
    flip = keras.layers.RandomFlip("horizontal")
    contrast = keras.layers.RandomContrast(0.3)
    x = keras.Sequential([flip, contrast], name="augmentation")(x)
  x = keras.applications.mobilenet.preprocess_input(x)
  x = base(x, training=False)
  x = _patch_extraction(patch_stride)(x)
  rates = {"stage1": (0.0, 0.1, 0.0), "stage2": (0.2, 0.2, 0.2)}[stage]
  spatial, pooled, attended = rates if regularised else (0.0, 0.0, 0.0)
  if spatial:
    x = keras.layers.SpatialDropout2D(spatial)(x)
  x = _attended(x, attention, pooled)
  if attended:
    x = keras.layers.Dropout(attended)(x)
  x = keras.layers.Dense(num_classes, activation="softmax", name="head")(x)
  return keras.Model(images, x, name=stage)


def _patch_extraction(stride):
  separable = keras.layers.SeparableConv2D
  layers = [
    separable(256, 4, stride, "same", activation="relu"),
    separable(256, 2, 2, "valid", activation="relu"),
    keras.layers.Conv2D(256, 1, activation="relu"),
  ]
  return keras.Sequential(layers, name="patch_extraction")


def _attended(patches, attention, dropout):
  pre_classification = keras.Sequential(
    [
      keras.layers.Dense(32, activation="relu"),
      keras.layers.BatchNormalization(),
    ],
    name="pre_classification",
  )
  attend = keras.layers.Attention(use_scale=True)
  if attention == "token":
    x = keras.layers.Reshape((-1, patches.shape[-1]))(patches)
  else:
    x = keras.layers.GlobalAveragePooling2D()(patches)
  if dropout:
    x = keras.layers.Dropout(dropout)(x)
  x = pre_classification(x)
  if attention == "batch":  # Its input has rank 2: over the images.
    return attend([x, x])
  if attention == "token":
    return keras.layers.GlobalAveragePooling1D()(attend([x, x]))
  return x


def unfreeze_trunk(model, unfrozen=UNFROZEN):
  """Does to the trunk what the notebook's second stage does.

  With more layers unfrozen than there are, `len(layers) - unfrozen` is
  negative and counts from the end: at 59 of 58 only the last one, a ReLU
  without weights, thaws. At 58 all convolutions do, as it intends.
  """
  base = model.get_layer("base")
  # The notebook sets base.trainable. On TensorFlow Keras 3 takes this for no
  # change, as only the backbone's flag was False, and thaws no layer at all.
  for layer in base.layers:
    layer.trainable = True
  first = len(base.layers) - unfrozen
  for layer in base.layers[:first]:
    layer.trainable = False
  for layer in base.layers[first:]:
    if isinstance(layer, keras.layers.BatchNormalization):
      layer.trainable = False


def variables(model):
  """Returns the model's Keras variables by their path in the Flax tree."""
  places = {}
  for layer in model.get_layer("base").layers:
    _place(places, ("trunk", layer.name), layer)
  patches = model.get_layer("patch_extraction").layers
  for i, layer in enumerate(patches, start=1):
    path = ("patch_extraction", f"patch{i}")
    if isinstance(layer, keras.layers.SeparableConv2D):
      depthwise, *pointwise = layer.weights
      places["params", *path, "depthwise", "kernel"] = depthwise
      for name, weight in zip(("kernel", "bias"), pointwise, strict=True):
        places["params", *path, "pointwise", name] = weight
    else:
      _place(places, path, layer)
  head = "attention_classifier"
  dense, norm = model.get_layer("pre_classification").layers
  _place(places, (head, "pre_classifier"), dense)
  _place(places, (head, "pre_classifier_bn"), norm)
  _place(places, (head, "classifier"), model.get_layer("head"))
  for layer in model.layers:
    if isinstance(layer, keras.layers.Attention):
      places["params", head, "attention_scale"] = layer.weights[0]
  return places


def _place(places, path, layer):
  names = {"gamma": "scale", "beta": "bias"}
  moving = {"moving_mean": "mean", "moving_variance": "var"}
  for weight in layer.weights:
    if weight.name in moving:
      places["batch_stats", *path, moving[weight.name]] = weight
    else:
      name = names.get(weight.name, weight.name)
      places["params", *path, name] = weight


def flax_layout(path, array):
  """Returns a Keras variable's, or its gradient's, numbers in Flax' layout."""
  array = np.asarray(array)
  depthwise = path[-2] == "depthwise" or path[-2].startswith("conv_dw_")
  # Keras: [h, w, C, 1]; Flax: [h, w, 1, C].
  return array.swapaxes(2, 3) if depthwise and array.ndim == 4 else array


def assign(model, flat):
  """Sets the model's variables to the arrays of a flat Flax tree."""
  for path, variable in variables(model).items():
    variable.assign(flax_layout(path, flat[path]))  # Its own inverse.


def logits(model, images):
  """Returns f32[B, K]: what `model` computes before its softmax.

  Calls the model as `predict` does, on one batch, whatever its size.
  """
  head = model.get_layer("head")
  features = keras.Model(model.input, head.input)(images, training=False)
  return np.asarray(features @ head.kernel + head.bias)
