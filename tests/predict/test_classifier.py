"""Faces of any size to probabilities, by a small random network."""

import gc
import os
import pickle
import sys

import jax
import jax.numpy as jnp
import numpy as np
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


@pytest.mark.parametrize(
  "sizes",
  [
    (8, 4, 2, 1),
    pytest.param((32, 16, 8, 4, 2, 1), marks=pytest.mark.slow),
  ],
)
def test_no_length_of_a_list_compiles_anything_once_the_sizes_are_warm(
  classify, faces, sizes
):
  classify._sizes = sizes
  compiled = []

  def count(name, *_, **__):
    if name == "/jax/core/compile/backend_compile_duration":
      compiled.append(name)

  for size in sizes:
    classify(np.resize(faces, (size, 16, 16, 1)))
  jax.monitoring.register_event_duration_secs_listener(count)
  try:
    jax.jit(lambda x: x + len(compiled))(1)
    assert compiled.pop()  # The listener hears of compilations.
    for length in range(1, 65):
      assert len(classify(np.resize(faces, (length, 16, 16, 1)))) == length
  finally:
    jax.monitoring.unregister_event_duration_listener(count)
  assert not compiled


@pytest.mark.parametrize("count", range(130))
def test_a_list_is_cut_without_padding(count):
  slices = list(classifier.cut(count, (32, 16, 8, 4, 2, 1)))
  assert [i for s in slices for i in range(s.start, s.stop)] == [*range(count)]
  assert {s.stop - s.start for s in slices} <= {32, 16, 8, 4, 2, 1}
  assert len(slices) <= count // 32 + 5


@pytest.mark.slow
def test_a_thousand_calls_keep_no_memory(classify, faces):
  def held():
    gc.collect()
    # Blocks of Python's memory, of which each object has one or more.
    return len(jax.live_arrays()), sys.getallocatedblocks()

  def call(times):
    for _ in range(times):
      classify(faces[0])

  call(300)  # At first Python fills lists of its own.
  arrays, blocks = held()
  growth = []
  for _ in range(3):  # A leak is in each; what Python itself does is not.
    call(400)
    more_arrays, more_blocks = held()
    assert more_arrays == arrays
    growth.append(more_blocks - blocks)
    blocks = more_blocks
  assert min(growth) < 200  # Not one a call.


def test_an_empty_list_gives_no_probabilities(classify):
  for none in ([], (), np.zeros((0, 4, 4, 1), np.uint8)):
    assert classify(none).shape == (0, 3)


def test_a_classifier_pickles_by_loading_again(small_config, faces, tmp_path):
  write_model(tmp_path / "model", small_config)
  loaded = pattlite_jax.load(tmp_path / "model")
  again = pickle.loads(pickle.dumps(loaded))
  np.testing.assert_array_equal(again(faces), loaded(faces))
  with pytest.raises(TypeError, match=r"not made by pattlite_jax\.load"):
    pickle.dumps(classifier.Classifier(loaded.network))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="This system cannot fork.")
@pytest.mark.filterwarnings("ignore:.*fork")
def test_a_forked_process_is_told_what_to_do(classify, faces):
  """In all that would wait for ever."""
  images = faces[:1].reshape(1, 16, 16, 1)
  for use in (
    lambda: classify(faces[0]),
    lambda: classify.photo(faces[0]),
    lambda: classify.probabilities(images),
    lambda: pattlite_jax.load("fer2013"),
  ):
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
      try:
        use()
      except RuntimeError as error:
        os.write(writing, str(error).encode())
      os._exit(0)
    os.close(writing)
    assert os.waitpid(child, 0) == (child, 0)
    said = os.read(reading, 1000).decode()
    os.close(reading)
    assert "forked from one" in said and 'get_context("spawn")' in said


def test_arrays_of_other_libraries_are_taken(classify, faces):
  face = jnp.asarray(faces[0])
  np.testing.assert_array_equal(classify(face), classify(faces[0]))


def write_model(folder, config):
  network = make_network(config)
  described = {
    "config": config.to_dict(),
    "class_names": NAMES,
    "image_shape": [16, 16, 1],
  }
  model_folder.write(folder, network.variables, described)
  return network


def test_a_folder_is_loaded_by_its_path(small_config, faces, tmp_path):
  network = write_model(tmp_path / "model", small_config)
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
