import matplotlib.pyplot as plt
import numpy as np
import pytest
from etils import epath

from pattlite_jax.scoring import metrics, pictures

NAMES = ("anger", "disgust", "happiness")
MATRIX = np.array([[1500, 0, 500], [0, 3, 1], [0, 0, 0]])


@pytest.fixture(autouse=True)
def close_figures():
  yield
  plt.close("all")


def test_confusions_show_count_and_share_of_each_cell():
  ax = pictures.confusion(MATRIX, NAMES, "title").axes[0]
  shown = {}
  for text in ax.texts:
    column, row = text.get_position()
    shown.setdefault((round(row), round(column)), []).append(text.get_text())
  assert shown == {
    (0, 0): ["1,500", "75.0 %"],
    (0, 2): ["500", "25.0 %"],
    (1, 1): ["3", "75.0 %"],
    (1, 2): ["1", "25.0 %"],
  }
  rows = [label.get_text() for label in ax.get_yticklabels()]
  assert rows == ["anger\n(2,000)", "disgust\n(4)", "happiness\n(0)"]
  assert [label.get_text() for label in ax.get_xticklabels()] == list(NAMES)
  np.testing.assert_allclose(
    ax.images[0].get_array(), [[0.75, 0, 0.25], [0, 0.75, 0.25], [0, 0, 0]]
  )


def test_reliability_shows_the_bins():
  confidences = np.array([0.5, 0.5, 0.95, 0.97])
  right = np.array([True, False, True, True])
  ece, bins = metrics.calibration(confidences, right)
  figure = pictures.reliability(bins, ece, "title")
  above, below = figure.axes
  heights = {round(p.get_center()[0], 3): p.get_height() for p in above.patches}
  assert heights == {0.5: 0.5, round(14.5 / 15, 3): 1.0}
  assert [p.get_height() for p in below.patches if p.get_height()] == [2, 2]
  assert f"{100 * ece:.1f} %" in above.get_title()


def test_draws_each_protocol_under_its_name(tmp_path):
  logits = np.eye(3, dtype=np.float32)[[0, 1, 1, 2]]
  scores = metrics.score(logits, np.array([0, 1, 2, 2], np.int32))
  result = {
    "dataset": "ferplus",
    "rule": "majority",
    "class_names": NAMES,
    "splits": {
      "test": {
        "per_sample": scores,
        "across_batch": {"order": "class_sorted", "batch_size": 32, **scores},
      }
    },
  }
  pictures.draw_evaluation(epath.Path(tmp_path / "new"), result)
  files = {path.name: path for path in (tmp_path / "new").iterdir()}
  assert files.keys() == {
    "confusion_test.png",
    "confusion_test_across_batch.png",
    "reliability_test.png",
    "reliability_test_across_batch.png",
  }
  for path in files.values():
    assert plt.imread(path).std() > 0.05  # Not a blank page.
  assert plt.get_fignums() == []
