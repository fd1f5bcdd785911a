"""CenterFace and YuNet: files of their form, with known outputs."""

import numpy as np
import onnx
import PIL.Image
import pytest
from onnx import helper, numpy_helper

from pattlite_jax.predict.detection import load
from pattlite_jax.predict.detection.centerface import CenterFace
from pattlite_jax.predict.detection.yunet import YuNet
from pattlite_jax.runtime.errors import MissingFileError, UserError

SIDE = 64  # Of the YuNet made here.


def save(path, image_shape, outputs):
  """Writes a network that gives `outputs`, whatever it is given."""
  nodes, values = [], []
  for name, value in outputs.items():
    constant = numpy_helper.from_array(value.astype(np.float32))
    nodes.append(helper.make_node("Constant", [], [name], value=constant))
    values.append(helper.make_tensor_value_info(name, 1, value.shape))
  image = helper.make_tensor_value_info("input", 1, image_shape)
  graph = helper.make_graph(nodes, "made", [image], values)
  opset = [helper.make_opsetid("", 13)]
  onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
  return path


def centerface_outputs(height, width):
  """A face of 40 x 60 pixels around (92, 58), in maps of a quarter."""
  heat = np.zeros((1, 1, height, width), np.float32)
  sizes = np.zeros((1, 2, height, width), np.float32)
  offsets = np.zeros((1, 2, height, width), np.float32)
  heat[0, 0, 14, 22] = 0.8
  sizes[0, :, 14, 22] = np.log([60 / 4, 40 / 4])  # Of rows, of columns.
  offsets[0, :, 14, 22] = 58 / 4 - 14.5, 92 / 4 - 22.5
  heat[0, 0, 14, 23] = 0.7  # The same face.
  sizes[0, :, 14, 23] = np.log([60 / 4, 40 / 4])
  points = np.zeros((1, 10, height, width), np.float32)
  return {"537": heat, "538": sizes, "539": offsets, "540": points}


def test_centerface_is_decoded(tmp_path):
  outputs = centerface_outputs(96, 160)
  path = save(tmp_path / "c.onnx", (1, 3, 384, 640), outputs)
  detector = load.load(path)
  assert isinstance(detector, CenterFace)
  picture = PIL.Image.new("RGB", (1280, 768))
  found = detector.find(picture, (0.0, 0.0, 1280.0, 768.0))
  np.testing.assert_allclose(found.scores, [0.8], rtol=1e-6)
  expected = [2 * (92 - 20), 2 * (58 - 30), 2 * (92 + 20), 2 * (58 + 30)]
  np.testing.assert_allclose(found.boxes, [expected], atol=1e-3)


def test_the_sizes_that_centerfaces_file_declares_are_forgotten(tmp_path):
  outputs = centerface_outputs(96, 160)
  path = save(tmp_path / "c.onnx", (10, 3, 32, 32), outputs)
  detector = load.load(path)
  picture = PIL.Image.new("RGB", (640, 384))
  assert len(detector.find(picture, (0.0, 0.0, 640.0, 384.0))) == 1


def yunet_outputs(rng):
  outputs = {}
  for stride in (8, 16, 32):
    cells = (SIDE // stride) ** 2
    outputs |= {
      f"cls_{stride}": rng.uniform(0, 1, (1, cells, 1)),
      f"obj_{stride}": rng.uniform(0, 1, (1, cells, 1)),
      f"bbox_{stride}": rng.normal(0, 0.5, (1, cells, 4)),
      f"kps_{stride}": rng.normal(0, 1, (1, cells, 10)),
    }
  return outputs


@pytest.mark.parametrize("seed", range(3))
def test_yunet_is_decoded_as_by_opencv(tmp_path, seed):
  cv2 = pytest.importorskip("cv2")
  outputs = yunet_outputs(np.random.default_rng(seed))
  path = save(tmp_path / "y.onnx", (1, 3, SIDE, SIDE), outputs)
  detector = load.load(path)
  assert isinstance(detector, YuNet)
  picture = PIL.Image.new("RGB", (SIDE, SIDE))
  found = detector.find(picture, (0.0, 0.0, float(SIDE), float(SIDE)))
  # Without its suppression, which keeps other boxes of the same score.
  theirs = cv2.FaceDetectorYN.create(
    str(path), "", (SIDE, SIDE), detector.min_score, 1.0, 5000
  )
  _, rows = theirs.detect(np.zeros((SIDE, SIDE, 3), np.uint8))
  assert len(found) > 5
  for box, score in zip(found.boxes, found.scores, strict=True):
    place = np.r_[box[:2], box[2:] - box[:2], score]
    differences = np.abs(rows[:, [0, 1, 2, 3, 14]] - place).max(axis=1)
    assert differences.min() < 1e-3


def test_another_network_is_refused_with_its_form(tmp_path):
  path = save(tmp_path / "x.onnx", (1, 3, 8, 8), {"out": np.zeros((1, 2))})
  with pytest.raises(UserError, match=r"\(1, 3, 8, 8\).*none of the face"):
    load.load(path)
  with pytest.raises(MissingFileError, match="no file"):
    load.load(tmp_path / "nothing.onnx")
  (tmp_path / "broken.onnx").write_bytes(b"\x08\x09broken")
  with pytest.raises(UserError, match="no ONNX file that can be run"):
    load.load(tmp_path / "broken.onnx")
