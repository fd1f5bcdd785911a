"""Whatever a Keras model computes besides PAtt-Lite is named and refused.

The descriptions are those that Keras 3.15 and TensorFlow 2.13 wrote of the
notebook's model, cut early; initializers and modules are left out.
"""

import copy
import json
import pathlib
import time

import pytest

from pattlite_jax.weights import keras_graph, keras_network

FOLDER = pathlib.Path(__file__).parent
DESCRIPTIONS = {
  name: json.loads((FOLDER / f"{name}.json").read_text())
  for name in ("keras_3", "tensorflow_2_13")
}


@pytest.fixture(params=DESCRIPTIONS)
def model(request):
  """A copy that a test may change."""
  return copy.deepcopy(DESCRIPTIONS[request.param])


def everything(model):
  """Yields the layers of a model and of those within it."""
  for layer in model["config"]["layers"]:
    yield layer
    if "layers" in layer["config"]:
      yield from everything(layer)


def of_class(model, name, number=0):
  return [x for x in everything(model) if x["class_name"] == name][number]


def read(model):
  with keras_graph.errors_about("a.keras"):
    return keras_network.pattlite(keras_graph.read(json.dumps(model))[0])


def refused(model, message):
  with pytest.raises(ValueError, match=message) as error:
    read(model)
  assert "\n" not in str(error.value) and len(str(error.value)) < 400


def test_the_notebooks_model_is_known(model):
  network = read(model)
  assert (network.input_size, network.image_size) == (40, 32)
  assert (network.patch_stride, network.cut) == (4, "conv_dw_2_relu")
  assert network.attention == "batch"
  assert list(network.trunk)[:2] == ["conv1", "conv1_bn"]
  assert network.trunk["conv_dw_2"].place == ("base", "conv_dw_2")
  places = ["patch1", "patch2", "patch3", "pre_classifier"]
  places += ["pre_classifier_bn", "attention_scale", "classifier"]
  assert [name for _, name in network.head] == places


FIELDS = [
  ("InputLayer", 0, "dtype", "float16", "in float16"),
  ("InputLayer", 0, "sparse", True, "has sparse True"),
  ("Resizing", 0, "interpolation", "nearest", "interpolation 'nearest'"),
  ("Resizing", 0, "crop_to_aspect_ratio", True, "crop_to_aspect_ratio True"),
  ("Resizing", 0, "height", 48, "48 x 32 pixels, but they must be square"),
  ("Resizing", 0, "height", 32.0, "32.0 x 32 pixels, but they must be square"),
  ("Resizing", 0, "antialias", True, "antialias True"),
  ("Resizing", 0, "a_new_field", "on", "a_new_field 'on'"),
  ("Conv2D", 0, "filters", 16, "conv1 .* has filters 16, .* has 32"),
  ("Conv2D", 0, "strides", [1, 1], r"strides \[1, 1\], .* has 2"),
  ("Conv2D", 0, "strides", [2, 1], r"strides \[2, 1\]"),
  ("Conv2D", 0, "strides", 2.0, "strides 2.0"),
  ("Conv2D", 0, "kernel_size", [5, 5], "kernel_size"),
  ("Conv2D", 0, "padding", "valid", "padding 'valid'"),
  ("Conv2D", 0, "data_format", "channels_first", "channels_first"),
  ("Conv2D", 0, "dilation_rate", [2, 2], "dilation_rate"),
  ("Conv2D", 0, "groups", 3, "groups 3"),
  ("Conv2D", 0, "use_bias", True, "use_bias True"),
  ("Conv2D", 0, "use_bias", 0, "use_bias 0"),
  ("Conv2D", 0, "activation", "relu", "after conv1 .* network has BatchNor"),
  ("BatchNormalization", 0, "epsilon", 1e-5, "epsilon 1e-05, .* has 0.001"),
  ("BatchNormalization", 0, "axis", [1], r"axis \[1\]"),
  ("BatchNormalization", 0, "scale", False, "scale False"),
  ("BatchNormalization", 0, "center", False, "center False"),
  ("BatchNormalization", -1, "epsilon", 0.01, "epsilon 0.01"),
  ("ReLU", 0, "max_value", None, "activation 'relu', .* has 'relu6'"),
  ("ReLU", 0, "max_value", 1.0, "activation '1.0', .* has 'relu6'"),
  ("ReLU", 0, "negative_slope", 0.2, "negative_slope 0.2"),
  ("ReLU", 0, "threshold", 1.0, "threshold 1.0"),
  ("DepthwiseConv2D", 0, "depth_multiplier", 2, "depth_multiplier 2"),
  ("DepthwiseConv2D", 0, "padding", "valid", "padding 'valid'"),
  ("DepthwiseConv2D", 1, "padding", "same", "padding 'same'"),
  ("DepthwiseConv2D", 1, "strides", [1, 1], "strides"),
  ("ZeroPadding2D", 0, "padding", [[1, 0], [1, 0]], r"padding \[\[1"),
  ("SeparableConv2D", 0, "kernel_size", [3, 3], "kernel_size"),
  ("SeparableConv2D", 0, "strides", [2, 4], r"has the stride \[2, 4\]"),
  ("SeparableConv2D", 0, "strides", [4.0, 4.0], r"has the stride \[4.0"),
  ("SeparableConv2D", 0, "strides", True, "has the stride True"),
  ("SeparableConv2D", 0, "strides", [], r"has the stride \[\]"),
  ("SeparableConv2D", 0, "padding", "valid", "padding 'valid'"),
  ("SeparableConv2D", 0, "activation", "relu6", "'relu6', .* has 'relu'"),
  ("SeparableConv2D", 0, "activation", None, "network has relu"),
  ("SeparableConv2D", 1, "activation", "gelu", "'gelu', .* has 'relu'"),
  ("SeparableConv2D", 1, "strides", [1, 1], "strides"),
  ("Conv2D", -1, "activation", "linear", "network has relu"),
  ("Conv2D", -1, "kernel_size", [3, 3], "kernel_size"),
  ("GlobalAveragePooling2D", 0, "keepdims", True, "keepdims True"),
  ("Dense", 0, "units", 64, "units 64, .* has 32"),
  ("Dense", 0, "activation", "tanh", "'tanh', .* has 'relu'"),
  ("Dense", 0, "activation", {"class_name": "f"}, "has 'relu'"),
  ("Dense", 0, "use_bias", False, "use_bias False"),
  ("Dense", 0, "lora_rank", 4, "lora_rank 4"),
  ("Dense", 1, "units", 7.0, "number of classes is 7.0, no whole number"),
  ("Dense", 1, "units", True, "number of classes is True"),
  ("Dense", 1, "units", 0, "number of classes is 0"),
  ("Dense", 1, "activation", "sigmoid", "'sigmoid', .* has 'softmax'"),
  ("Dense", 1, "activation", "linear", "comes the end, .* has softmax"),
  ("Dense", 1, "dtype", "mixed_float16", "computes in mixed_float16"),
  ("Attention", 0, "score_mode", "concat", "score_mode 'concat'"),
  ("Attention", 0, "use_scale", False, "use_scale False"),
]


@pytest.mark.parametrize(
  ("kind", "number", "field", "value", "message"), FIELDS
)
def test_a_field_that_computes_something_else_is_named(
  model, kind, number, field, value, message
):
  of_class(model, kind, number)["config"][field] = value
  refused(model, message)


@pytest.mark.parametrize("size", [None, 0, -48, "48", 48.0, 48.5, True, 10**6])
def test_impossible_sizes_are_refused(model, size):
  config = of_class(model, "InputLayer")["config"]
  for name in ("batch_shape", "batch_input_shape"):
    if name in config:
      config[name] = [None, size, size, 3]
  refused(model, "must be square")
  grey = copy.deepcopy(model)
  for name in ("batch_shape", "batch_input_shape"):
    if name in config:
      config[name] = [None, 48, 48, 3.0]
      of_class(grey, "InputLayer")["config"][name] = [None, 48, 48, 1]
  refused(grey, "has 1 channels, but must have 3")
  refused(model, "has 3.0 channels")


def chain_of(model):
  return model["config"]["layers"]


def replace_preprocessing(model, *operations):
  """Puts layers in the place of the division and the subtraction."""
  layers = chain_of(model)
  start = next(
    i for i, x in enumerate(layers) if x["class_name"] in ("TrueDivide", _TF)
  )
  before = layers[start]["inbound_nodes"]
  last = layers[start + 1]["name"]
  for number, layer in enumerate(operations):
    layer["name"] = layer["config"]["name"] = (
      last if number == len(operations) - 1 else f"operation_{number}"
    )
    layer.setdefault("inbound_nodes", [called_with(f"operation_{number - 1}")])
  operations[0]["inbound_nodes"] = _renamed(
    operations[0]["inbound_nodes"], "operation_-1", before
  )
  layers[start : start + 2] = operations
  return model


_TF = "TFOpLambda"


def called_with(name, *constants, **kwargs):
  tensor = {
    "class_name": "__keras_tensor__",
    "config": {"keras_history": [name, 0, 0]},
  }
  return {"args": [tensor, *constants], "kwargs": kwargs}


def _renamed(nodes, name, before):
  text = json.dumps(before)
  source = next(x for x in ("augmentation", "resizing") if f'"{x}"' in text)
  return json.loads(json.dumps(nodes).replace(f'"{name}"', f'"{source}"'))


def operation(kind, *constants, first=False, **kwargs):
  node = called_with("operation_-1", *constants, **kwargs)
  if first:
    node["args"].reverse()
  return {"class_name": kind, "config": {}, "inbound_nodes": [node]}


def rescaling(scale, offset=0.0):
  return {
    "class_name": "Rescaling",
    "config": {"scale": scale, "offset": offset},
  }


@pytest.mark.parametrize(
  "make",
  [
    lambda: [rescaling(1 / 127.5, -1)],
    lambda: [rescaling(1 / 255), rescaling(2, -1)],
    lambda: [rescaling(-1 / 127.5, 1), rescaling(-1)],
    lambda: [operation("Subtract", 127.5), rescaling(1 / 127.5)],
  ],
)
def test_another_way_to_the_same_pixels_is_taken(make):
  model = copy.deepcopy(DESCRIPTIONS["keras_3"])
  assert read(replace_preprocessing(model, *make())).image_size == 32


@pytest.mark.parametrize(
  ("make", "message"),
  [
    (lambda: [rescaling(1 / 255)], r"makes 0\.0039\d+ \* pixel \+0 of each"),
    (lambda: [rescaling(1 / 127.5, -1.01)], "makes 0.007"),
    (lambda: [rescaling(0.00784, -1)], "makes 0.00784 "),
    (lambda: [rescaling(1 / 127.5, [-1, -1, -1])], "one number for all"),
    (lambda: [rescaling(True, -1)], "one number for all"),
    (lambda: [rescaling(10**400, -1)], "one number for all"),
    (lambda: [rescaling(float("nan"), -1)], "one number for all"),
    (lambda: [operation("TrueDivide", 0.0)], "divides pixels by 0"),
    (lambda: [operation("TrueDivide", 9.0, first=True)], "number by pixels"),
    (lambda: [operation("Subtract", 1.0, first=True)], r"makes -1 \* pixel"),
    (lambda: [operation("Subtract", "1.0")], "one number for all"),
    (lambda: [operation("Subtract", 1.0, 2.0)], "this project does not"),
    (lambda: [operation("Power", 2.0)], "after .* comes .*Power.* has Conv2D"),
    (lambda: [operation("GetItem", [0])], "comes .*GetItem"),
  ],
)
def test_other_pixels_for_the_trunk_are_refused(make, message):
  model = copy.deepcopy(DESCRIPTIONS["keras_3"])
  refused(replace_preprocessing(model, *make()), message)


@pytest.mark.parametrize(
  ("number", "value", "message"),
  [
    (0, 255.0, r"makes 0\.0039\d+ \* pixel -1"),
    (1, 0.0, r"makes 0\.0078\d+ \* pixel \+0 "),
    (0, ["other", 0, 0], "one number for all"),
  ],
)
def test_constants_of_tensorflow_2_13_are_read(number, value, message):
  model = copy.deepcopy(DESCRIPTIONS["tensorflow_2_13"])
  of_class(model, _TF, number)["inbound_nodes"][0][3]["y"] = value
  refused(model, message)


@pytest.mark.parametrize("function", ["math.square", "cast", "math.add"])
def test_other_functions_of_tensorflow_2_13_are_refused(function):
  model = copy.deepcopy(DESCRIPTIONS["tensorflow_2_13"])
  of_class(model, _TF)["config"]["function"] = function
  refused(model, "makes|this project does not")


def insert(model, index, kind, **fields):
  """Puts a layer into the patch extraction, or the chain at -1."""
  new = {"class_name": kind, "config": {"name": "new", **fields}}
  of_class(model, "Sequential", 1)["config"]["layers"].insert(index, new)


@pytest.mark.parametrize("kind", ["Dropout", "SpatialDropout2D"])
def test_dropout_elsewhere_is_named(model, kind):
  insert(model, 2, kind, rate=0.5)
  refused(model, rf"after .* comes new \({kind}\), .* has SeparableConv2D")


def test_layers_without_weights_are_named_by_their_place(model):
  for kind, fields in (
    ("LayerNormalization", {}),
    ("MaxPooling2D", {"pool_size": 2}),
    ("Activation", {"activation": "tanh"}),
    ("MyLayer", {}),
  ):
    changed = copy.deepcopy(model)
    insert(changed, 2, kind, **fields)
    refused(changed, rf"comes new \({kind}\), .* has SeparableConv2D")
  insert(model, 2, "Activation", activation="linear")  # Does nothing.
  assert read(model).patch_stride == 4


def test_layers_in_another_order_are_named(model):
  layers = of_class(model, "Sequential", 1)["config"]["layers"]
  layers[-1], layers[-2] = layers[-2], layers[-1]
  refused(model, "comes .* where this project's network has")


def test_a_missing_layer_is_named(model):
  layers = of_class(model, "Sequential", 2)["config"]["layers"]
  assert layers.pop()["class_name"] == "BatchNormalization"
  refused(model, r"comes attention\w* \(Attention\), .*BatchNormalization")


def test_what_predicts_as_in_training_is_refused():
  for name in ("keras_3", "tensorflow_2_13"):
    text = json.dumps(DESCRIPTIONS[name])
    always = text.replace('"training": false', '"training": true')
    assert always != text
    refused(json.loads(always), "training=True")


def rewire(model, name, *sources):
  """Gives a layer of a Keras 3 model other inputs."""
  layer = next(x for x in everything(model) if x.get("name") == name)
  nodes = [called_with(source) for source in sources]
  args = [arg for node in nodes for arg in node["args"]]
  layer["inbound_nodes"] = [{"args": [args], "kwargs": {}}]
  return layer


def test_what_is_no_chain_is_refused():
  model = copy.deepcopy(DESCRIPTIONS["keras_3"])
  attention = of_class(model, "Attention")["name"]
  before = of_class(model, "Sequential", 2)["name"]
  for sources, message in (
    ((before, "base"), "outputs of several layers: base"),
    ((attention,), "no way from its input"),
    (("nowhere",), "KeyError|as Keras does"),
  ):
    changed = copy.deepcopy(model)
    rewire(changed, attention, *sources)
    refused(changed, message)
  twice = copy.deepcopy(model)
  of_class(twice, "Attention")["inbound_nodes"] *= 2
  refused(twice, "calls its layer attention.* 2 times")
  shared = copy.deepcopy(model)
  chain_of(shared).append(copy.deepcopy(chain_of(shared)[-1]))
  refused(shared, "two of one name")
  ends = copy.deepcopy(model)
  ends["config"]["output_layers"] = [["head", 0, 0], ["base", 0, 0]]
  refused(ends, "more than one input or output")


def test_arguments_of_a_call_are_read():
  model = copy.deepcopy(DESCRIPTIONS["keras_3"])
  node = of_class(model, "Attention")["inbound_nodes"][0]
  node["kwargs"]["use_causal_mask"] = True
  refused(model, "called with use_causal_mask True")


@pytest.mark.parametrize("nested", [False, True])
def test_many_layers_take_no_long_time(model, nested):
  extra = [
    {"class_name": "Dropout", "config": {"name": f"d{i}"}}
    for i in range(16_000)
  ]
  parent = of_class(model, "Sequential") if nested else model
  parent["config"]["layers"] += extra
  start = time.process_time()
  refused(model, r"has 16,0\d\d layers, of which at most 1,000 are read")
  assert time.process_time() - start < 5


@pytest.mark.parametrize("depth", [100, 600, 900, 5000])
def test_what_is_nested_too_deep_is_refused(depth):
  model = copy.deepcopy(DESCRIPTIONS["keras_3"])
  of_class(model, "Resizing")["inbound_nodes"][0]["args"].append("deep")
  text = json.dumps(model).replace('"deep"', "[" * depth + "]" * depth)
  with (
    pytest.raises(ValueError, match=r"a\.keras") as error,
    keras_graph.errors_about("a.keras"),
  ):
    keras_network.pattlite(keras_graph.read(text)[0])
  assert "\n" not in str(error.value)


def test_models_deep_in_one_another_are_refused(model):
  for _ in range(50):
    inside = {"name": "m", "layers": [model]}
    model = {"class_name": "Sequential", "config": inside}
  refused(model, "has models more than 10 deep in one another")
