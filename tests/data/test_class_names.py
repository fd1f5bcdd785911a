import pytest

from pattlite_jax.data import class_names
from pattlite_jax.data.readers.ck_plus import CkPlus
from pattlite_jax.data.readers.fer2013 import Fer2013
from pattlite_jax.data.readers.ferplus import FerPlus
from pattlite_jax.data.readers.raf_db import RafDb
from pattlite_jax.runtime.errors import UserError


@pytest.mark.parametrize(
  ("name", "canonical"),
  [
    ("angry", "anger"),
    ("HAPPY", "happiness"),
    (" Sad ", "sadness"),
    ("Surprised", "surprise"),
    ("my_own class", "my own class"),
    ("contempt", "contempt"),
  ],
)
def test_canonical(name, canonical):
  assert class_names.canonical(name) == canonical


@pytest.mark.parametrize("builder", [CkPlus, Fer2013, FerPlus, RafDb])
def test_the_sets_own_names_are_the_canonical_ones(builder):
  names = builder.CLASS_NAMES
  assert [class_names.canonical(name) for name in names] == list(names)


def test_no_word_means_two_classes():
  words = [w for others in class_names.SYNONYMS.values() for w in others]
  assert len(set(words)) == len(words)
  assert not set(words) & set(class_names.SYNONYMS)


def test_the_very_name_comes_before_a_synonym():
  assert class_names.index_in(("anger", "angry"), "angry") == 1
  assert class_names.index_in(("fear", "anger"), "angry") == 1
  assert class_names.index_in(("fear", "anger"), "sad") is None


def test_translated_names_are_those_written_in_another_way():
  own, others = ("Happy", "fear", "bored"), ("fear", "happiness")
  assert class_names.translated(own, others) == {"Happy": "happiness"}


def test_columns_are_where_a_network_has_the_classes_whatever_their_names():
  own = ("happy", "fear", "anger")
  assert class_names.columns(own, ("angry", "happiness", "fear")) == (2, 0, 1)
  for others in (
    ("anger", "happiness"),
    ("anger", "happiness", "fear", "sad"),
    ("anger", "happiness", "sad"),
    ("anger", "angry", "fear"),
  ):
    assert class_names.columns(own, others) is None


def test_two_names_of_one_class_are_refused():
  class_names.require_distinct(("anger", "fear"), "D")
  with pytest.raises(UserError, match="D has the classes 'Angry' and 'anger'"):
    class_names.require_distinct(("fear", "Angry", "anger"), "D")
