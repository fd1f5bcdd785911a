import dataclasses
import itertools
import pathlib

import numpy as np
import pytest

from pattlite_jax.data.drawing import (
  actions,
  face,
  landmarks,
  occluders,
  person,
  view,
)
from pattlite_jax.data.drawing.actions import (
  EXPRESSIONS,
  PROTOTYPES,
  ActionUnits,
)
from pattlite_jax.data.drawing.person import Person
from pattlite_jax.data.drawing.view import View
from pattlite_jax.data.readers import synthetic_faces

REST = landmarks.landmarks(Person(), ActionUnits())


@pytest.fixture(scope="module")
def splits(tmp_path_factory):
  """A smaller set: {split: ([stored example, ...], [drawn Face, ...])}."""
  small = {"train": 140, "validation": 70, "test": 70}
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(synthetic_faces, "NUM_FACES", small)
    builder = synthetic_faces.SyntheticFaces(
      data_dir=tmp_path_factory.mktemp("tfds")
    )
    builder.files_dir = pathlib.Path("unused")
    builder.download_and_prepare()
    assert "not photographs" in builder.info.description
    return {
      split: (
        list(builder.as_dataset(split=split).as_numpy_iterator()),
        # From the last to the first: no picture depends on those before it.
        [synthetic_faces.drawn_face(split, k) for k in reversed(range(n))][
          ::-1
        ],
      )
      for split, n in small.items()
    }


def forms(expression):
  return [
    landmarks.landmarks(Person(), form) for form in PROTOTYPES[expression]
  ]


def corner_rise(curves):
  """How far the mouth's corners lie above those of the face at rest."""
  return REST["mouth_upper"][0, 1] - curves["mouth_upper"][0, 1]


def mouth_opening(curves):
  return (curves["mouth_lower"] - curves["mouth_upper"])[:, 1].max()


def eye_opening(curves):
  return (curves["left_lower_lid"] - curves["left_upper_lid"])[:, 1].max()


def brow_rise(curves, end):
  return REST["left_brow"][end, 1] - curves["left_brow"][end, 1]


INNER, OUTER = 0, -1


def test_classes_are_named_as_in_fer2013(splits):
  names = "anger disgust fear happiness sadness surprise neutral"
  assert " ".join(EXPRESSIONS) == names
  for stored, _ in splits.values():
    labels = [example["label"] for example in stored]
    assert np.bincount(labels).tolist() == [len(stored) // 7] * 7


@pytest.mark.parametrize(
  ("split", "per_class"), [("train", 400), ("validation", 100), ("test", 100)]
)
def test_classes_are_balanced_and_mixed(split, per_class):
  labels = synthetic_faces.split_labels(split)
  assert np.bincount(labels).tolist() == [per_class] * 7
  # Sorted by class, a window of 70 would hold one or two classes.
  assert min(len(set(window)) for window in labels.reshape(-1, 70)) == 7


def test_stored_pictures_are_the_drawn_ones_in_order(splits):
  for split, (stored, drawn) in splits.items():
    for k, (example, own) in enumerate(zip(stored, drawn, strict=True)):
      np.testing.assert_array_equal(example["image"], own.image)
      assert example["label"] == own.label
      assert example["id"].decode() == own.id == f"drawn-{split}-{k:05d}"


def test_no_picture_occurs_twice_in_or_across_splits(splits):
  faces = [face for _, drawn in splits.values() for face in drawn]
  assert len({face.image.tobytes() for face in faces}) == len(faces) == 280
  assert len({face.id for face in faces}) == 280


def test_classes_look_different_on_one_person():
  means = []  # For two disjoint halves a class: f[7, 2, 48, 48].
  for expression in range(7):
    rng = np.random.default_rng([8, expression])
    images = [
      face.render(
        Person(), actions.sample_actions(rng, expression), View(), rng
      )[:, :, 0]
      for _ in range(24)
    ]
    means.append([np.mean(images[::2], axis=0), np.mean(images[1::2], axis=0)])
  means = np.array(means)
  within = np.abs(means[:, 0] - means[:, 1]).mean(axis=(1, 2))
  for a, b in itertools.combinations(range(7), 2):
    between = np.abs(means[a] - means[b]).mean()
    assert between > 1.3 * max(within[a], within[b]), (a, b)


def test_grey_levels_stay_where_they_were():
  # Not a hash: versions of Pillow may fill a polygon's edge differently.
  images = np.stack(
    [synthetic_faces.drawn_face("train", k).image for k in range(140)]
  ).astype(float)
  assert images.mean() == pytest.approx(117.9, abs=1.0)
  assert images.std(axis=(1, 2)).mean() == pytest.approx(44.9, abs=1.0)


def test_drawing_is_a_function_of_the_generator():
  first, again, other = (
    face.draw_face(np.random.default_rng(seed), 3)
    for seed in ([5, 1], [5, 1], [5, 2])
  )
  np.testing.assert_array_equal(first, again)
  assert np.abs(first.astype(int) - other).mean() > 5


@pytest.mark.parametrize("form", forms("happiness"))
def test_happiness_lifts_the_mouths_corners(form):
  assert corner_rise(form) > 0.1
  assert np.ptp(form["mouth_upper"][:, 0]) > np.ptp(REST["mouth_upper"][:, 0])


@pytest.mark.parametrize("form", forms("sadness"))
def test_sadness_lowers_the_corners_and_slants_the_brows(form):
  assert corner_rise(form) < -0.08
  assert brow_rise(form, INNER) > brow_rise(form, OUTER) + 0.1
  assert eye_opening(form) < eye_opening(REST)


@pytest.mark.parametrize("form", forms("surprise"))
def test_surprise_opens_mouth_and_eyes_and_lifts_the_brows(form):
  assert mouth_opening(form) > mouth_opening(REST) + 0.2
  assert eye_opening(form) > 1.2 * eye_opening(REST)
  assert min(brow_rise(form, INNER), brow_rise(form, OUTER)) > 0.05


@pytest.mark.parametrize("form", forms("fear"))
def test_fear_widens_the_eyes_and_stretches_the_mouth(form):
  assert eye_opening(form) > 1.2 * eye_opening(REST)
  assert brow_rise(form, INNER) > brow_rise(form, OUTER) + 0.05
  surprised = max(np.ptp(f["mouth_upper"][:, 0]) for f in forms("surprise"))
  assert np.ptp(form["mouth_upper"][:, 0]) > surprised


@pytest.mark.parametrize("form", forms("anger"))
def test_anger_lowers_and_joins_the_brows(form):
  assert brow_rise(form, INNER) < -0.1
  assert form["right_brow"][INNER, 0] < REST["right_brow"][INNER, 0]


@pytest.mark.parametrize("form", forms("disgust"))
def test_disgust_lifts_nose_and_upper_lip_and_narrows_the_eyes(form):
  assert form["nose_base"][:, 1].max() < REST["nose_base"][:, 1].max()
  assert form["lip_upper"][6, 1] < REST["lip_upper"][6, 1] - 0.05
  assert eye_opening(form) < 0.8 * eye_opening(REST)


def test_teeth_and_lids_never_cross_over():
  rng = np.random.default_rng(0)
  for k in range(210):
    curves = landmarks.landmarks(
      person.sample_person(rng), actions.sample_actions(rng, k % 7)
    )
    for upper, lower in (
      ("mouth_upper", "teeth"),
      ("teeth", "mouth_lower"),
      ("mouth_lower", "lip_lower"),
      ("left_upper_lid", "left_lower_lid"),
    ):
      assert (curves[upper][:, 1] <= curves[lower][:, 1] + 1e-9).all()


def test_intensity_runs_from_mild_to_strong():
  rng = np.random.default_rng(1)
  pulls = [
    actions.sample_actions(rng, EXPRESSIONS.index("happiness"))
    for _ in range(200)
  ]
  strength = np.array([a.lip_corner_pull for a in pulls])
  assert np.quantile(strength, 0.1) < 0.6 < 0.95 < np.quantile(strength, 0.9)


def test_sampled_views_and_people_vary():
  rng = np.random.default_rng(2)
  views = [view.sample_view(rng) for _ in range(400)]
  people = [person.sample_person(rng) for _ in range(400)]
  for samples in (views, people):
    for field in dataclasses.fields(samples[0]):
      assert len({getattr(sample, field.name) for sample in samples}) > 1
  assert {view.occluder for view in views} == set(view.OCCLUDERS)
  assert {p.hairstyle for p in people} == set(person.HAIRSTYLES)


@pytest.mark.parametrize(
  "change",
  [
    {"roll": 0.2},
    {"yaw": 0.2},
    {"pitch": 0.15},
    {"zoom": 25.0},
    {"shift_x": 2.0},
    {"shift_y": 2.0},
    {"background": 60.0},
    {"light": 0.4},
    {"light": 0.4, "light_angle": 2.0},
    {"contrast": 0.7},
    {"blur": 0.7},
    {"noise": 6.0},
    *({"occluder": name} for name in view.OCCLUDERS[1:]),
  ],
  ids=str,
)
def test_each_nuisance_shows(change):
  plain, changed = (
    face.render(Person(), ActionUnits(), view, np.random.default_rng(4)).astype(
      int
    )
    for view in (View(), View(**change))
  )
  assert np.abs(plain - changed).mean() > 0.5


def test_yaw_foreshortens_the_far_half_of_the_face():
  eyes_and_nose = np.array([[-0.33, -0.1], [0.0, -0.1], [0.33, -0.1]])
  turned = view.project(eyes_and_nose, View(yaw=0.3), on_skin=True)
  near, far = np.diff(turned[:, 0])
  assert far < 0.95 * near
  assert turned[1, 0] > view.SIZE / 2 + 4


def test_blur_keeps_an_even_picture_even():
  even = np.full((48, 48), 93.0)
  seen = view.expose(even, View(blur=0.8), np.random.default_rng(0))
  assert (seen == 93).all()


@pytest.mark.parametrize("occluder", view.OCCLUDERS[1:])
def test_an_occluder_hides_a_part_only(occluder):
  for seed in range(8):
    hidden, level = occluders.occlude(
      Person(), View(occluder=occluder), np.random.default_rng(seed)
    )
    assert hidden.min() == 0 and hidden.max() == 1
    assert 0.01 < hidden.mean() < 0.5
    assert level.min() >= 0 and level.max() <= 255


def test_shades_hide_the_eyes():
  shaded = View(occluder="shades")
  hidden, _ = occluders.occlude(Person(), shaded, np.random.default_rng(0))
  eyes = np.array([[-0.33, -0.1], [0.33, -0.1]])
  places = view.project(eyes, shaded, on_skin=True).astype(int)
  assert (hidden[places[:, 1], places[:, 0]] == 1).all()
