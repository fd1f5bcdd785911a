import hashlib

from pattlite_jax.data.readers.held_out import held_out


def test_validation_is_a_tenth_of_each_class_by_hash():
  labels = {f"train_{n:05d}.jpg": n % 2 for n in range(90)}
  chosen = held_out(labels)
  for label in (0, 1):
    ranked = []
    for name, own_label in labels.items():
      if own_label == label:
        text = f"pattlite-0:{name}".encode()
        ranked.append((hashlib.sha256(text).hexdigest(), name))
    own = {name for _, name in sorted(ranked)[:5]}  # 4.5 is rounded up.
    assert chosen >= own
  assert len(chosen) == 10


def test_validation_does_not_depend_on_the_order_of_the_list():
  labels = {f"train_{n:05d}.jpg": n % 3 for n in range(60)}
  backwards = dict(reversed(labels.items()))
  assert held_out(labels) == held_out(backwards)


def test_validation_images_of_the_official_names_stay_the_same():
  # Pins the rule: these numbers must never change between versions.
  labels = {f"train_{n:05d}.jpg": 0 for n in range(1, 51)}
  assert sorted(held_out(labels)) == [
    "train_00003.jpg",
    "train_00016.jpg",
    "train_00028.jpg",
    "train_00042.jpg",
    "train_00043.jpg",
  ]
