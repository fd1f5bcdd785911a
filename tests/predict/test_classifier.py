"""Faces of any size to probabilities, by a small random network."""

import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest

import pattlite_jax
from pattlite_jax.predict import classifier
from pattlite_jax.trained import Trained
from pattlite_jax.training import setup
from pattlite_jax.weights import model_folder

NAMES = ("anger", "disgust", "happiness")


def make_network(config, attention="token", image_shape=(16, 16, 1)):
  config.model.attention = attention
  variables = jax.device_get(setup.random_variables(config, 3))
  return Trained(variables, config, NAMES, image_shape)


@pytest.fixture
def classify(small_config):
  return classifier.Classifier(make_network(small_config))


@pytest.fixture
def faces():
  rng = np.random.default_rng(0)
  return rng.integers(0, 256, (3, 16, 16, 1), np.uint8)


def test_one_face_a_batch_and_a_list_agree(classify, faces):
  batch = classify(faces)
  assert batch.shape == (3, 3)
  np.testing.assert_allclose(batch.sum(-1), 1, rtol=1e-5)
  listed = classify([faces[0], faces[1, ..., 0], faces[2]])
  np.testing.assert_array_equal(listed, batch)
  for face, expected in zip(faces, batch, strict=True):
    one = classify(face)
    assert one.shape == (3,)
    np.testing.assert_allclose(one, expected, rtol=1e-4, atol=1e-6)


def test_more_faces_than_a_batch_holds(classify, faces):
  many = classify(np.tile(faces, (15, 1, 1, 1)))
  np.testing.assert_array_equal(many, np.tile(classify(faces), (15, 1)))


def test_they_are_the_networks_own(classify, faces):
  expected = jax.nn.softmax(classify.network.logits(faces))
  np.testing.assert_allclose(classify(faces), expected, rtol=1e-4, atol=1e-6)
  assert classify.class_names == NAMES


def test_a_face_of_attention_batch_depends_on_no_other(small_config, faces):
  classify = classifier.Classifier(make_network(small_config, "batch"))
  together = classify(faces)
  changed = faces.copy()
  changed[1:] = 255 - changed[1:]
  np.testing.assert_array_equal(classify(changed)[0], together[0])
  alone = make_network(small_config, "none").logits(faces)
  np.testing.assert_allclose(
    together, jax.nn.softmax(alone), rtol=1e-4, atol=1e-6
  )


def test_faces_become_what_training_saw():
  shape = (16, 12, 1)
  ramp = np.tile(np.arange(16, dtype=np.uint8)[:, None] * 16, (1, 12))
  same = classifier.prepare(ramp, shape)
  np.testing.assert_array_equal(same[..., 0], ramp)
  large = ramp.repeat(4, 0).repeat(4, 1)
  shrunk = classifier.prepare(large, shape)[..., 0]
  assert np.abs(shrunk.astype(int) - ramp)[1:-1].max() <= 3
  # A fine checkerboard is averaged; without a filter it would be 0 or 255.
  board = np.indices((64, 48)).sum(0) % 2 * np.uint8(255)
  grey = classifier.prepare(board.astype(np.uint8), shape)
  assert grey.min() > 120 and grey.max() < 135


def test_colours():
  red = np.zeros((5, 5, 3), np.uint8)
  red[..., 0] = 200
  luma = PIL.Image.new("RGB", (1, 1), (200, 0, 0)).convert("L").getpixel((0, 0))
  assert set(classifier.prepare(red, (4, 4, 1)).ravel()) == {luma}
  np.testing.assert_array_equal(
    classifier.prepare(red[..., :1], (4, 4, 3)), np.full((4, 4, 3), 200)
  )


@pytest.mark.parametrize(
  ("faces", "error", "words"),
  [
    (np.zeros((4, 4), np.float32), TypeError, "float32.*uint8"),
    (np.zeros(4, np.uint8), ValueError, r"\(4,\)"),
    (np.zeros((2, 4, 4), np.uint8), ValueError, r"\[N, H, W, 1\]"),
    (np.zeros((2, 4, 4, 4), np.uint8), ValueError, r"\(4, 4, 4\)"),
    (np.zeros((0, 4), np.uint8), ValueError, r"\(0, 4\)"),
    (np.zeros((0, 4, 4, 1), np.uint8), ValueError, "no faces"),
    ([], ValueError, "no faces"),
  ],
)
def test_what_is_no_face_is_refused(classify, faces, error, words):
  with pytest.raises(error, match=words):
    classify(faces)


def test_arrays_of_other_libraries_are_taken(classify, faces):
  face = jnp.asarray(faces[0])
  np.testing.assert_array_equal(classify(face), classify(faces[0]))


def test_a_folder_is_loaded_by_its_path(small_config, faces, tmp_path):
  network = make_network(small_config)
  described = {
    "config": small_config.to_dict(),
    "class_names": NAMES,
    "image_shape": [16, 16, 1],
  }
  model_folder.write(tmp_path / "model", network.variables, described)
  loaded = pattlite_jax.load(tmp_path / "model")
  np.testing.assert_array_equal(
    loaded(faces), classifier.Classifier(network)(faces)
  )
  assert loaded.network.config == small_config


def test_a_missing_model_names_those_that_are_shipped(tmp_path):
  with pytest.raises(
    FileNotFoundError, match=r"come with the package are: fer2013, ferplus\."
  ):
    pattlite_jax.load(tmp_path / "nothing")


def test_a_checkpoint_that_does_not_say_its_images_is_refused(small_config):
  network = make_network(small_config, image_shape=None)
  with pytest.raises(ValueError, match=r"pattlite_jax\.release"):
    classifier.Classifier(network)
