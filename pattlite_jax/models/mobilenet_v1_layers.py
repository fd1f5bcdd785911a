"""The layers of Keras' MobileNetV1 by name, in plain Python: no JAX needed."""

from typing import NamedTuple

# Output channels and depthwise stride of blocks 1 to 13 (paper, table 1).
BLOCKS = (
  (64, 1),
  (128, 2),
  (128, 1),
  (256, 2),
  (256, 1),
  (512, 2),
  *[(512, 1)] * 5,
  (1024, 2),
  (1024, 1),
)
PATT_LITE_CUT = "conv_dw_9_relu"  # Keras' backbone.layers[-29].


class Layer(NamedTuple):
  """One Keras layer: its name and what it computes."""

  name: str
  kind: str  # conv3x3, depthwise, pointwise, bn, relu6, pad, pool, ...
  features: int = 0
  stride: int = 1

  def with_stem(self, stride: int) -> "Layer":
    """Returns the layer in a network whose first convolution has `stride`."""
    return self._replace(stride=stride) if self.kind == "conv3x3" else self


def _layers() -> tuple[Layer, ...]:
  def bn_relu(name):
    return [Layer(f"{name}_bn", "bn"), Layer(f"{name}_relu", "relu6")]

  layers = [Layer("conv1", "conv3x3", 32, 2), *bn_relu("conv1")]
  for i, (features, stride) in enumerate(BLOCKS, start=1):
    if stride == 2:
      layers.append(Layer(f"conv_pad_{i}", "pad"))
    layers += [Layer(f"conv_dw_{i}", "depthwise", stride=stride)]
    layers += bn_relu(f"conv_dw_{i}")
    layers += [Layer(f"conv_pw_{i}", "pointwise", features)]
    layers += bn_relu(f"conv_pw_{i}")
  return (
    *layers,
    Layer("global_average_pooling2d", "pool"),
    Layer("dropout", "dropout"),
    Layer("conv_preds", "logits", 1000),
    Layer("reshape_2", "flatten"),
    Layer("predictions", "softmax"),
  )


LAYERS = _layers()
LAYER_NAMES = tuple(layer.name for layer in LAYERS)
