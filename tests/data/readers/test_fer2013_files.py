"""FER2013's csv as people keep it: packed, renamed, deeper, Kaggle's form."""

import bz2
import gzip
import io
import lzma
import os
import tarfile
import zipfile

import PIL.Image
import pytest
from test_fer2013 import write_folders

from pattlite_jax.data.readers import fer2013, ferplus
from pattlite_jax.runtime.errors import UserError

PIXELS = " ".join(["7"] * 2304)
CSV = f"emotion,pixels,Usage\n3,{PIXELS},Training\n".encode()


def zipped(name="fer2013/fer2013.csv", content=CSV):
  file = io.BytesIO()
  with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
    archive.writestr("__MACOSX/._fer2013.csv", b"\0")
    archive.writestr(name, content)
  return file.getvalue()


def tarred(mode, name="fer2013/fer2013.csv"):
  file = io.BytesIO()
  with tarfile.open(fileobj=file, mode=mode) as archive:
    for member, content in (("README", b"hello"), (name, CSV)):
      info = tarfile.TarInfo(member)
      info.size = len(content)
      archive.addfile(info, io.BytesIO(content))
  return file.getvalue()


PACKED = {
  "fer2013.csv.gz": gzip.compress(CSV),
  "FER2013.CSV.GZ": gzip.compress(CSV),
  "fer2013.csv.bz2": bz2.compress(CSV),
  "fer2013.csv.xz": lzma.compress(CSV),
  "fer2013.zip": zipped(),
  "archive.zip": zipped("icml_face_data.csv"),
  "fer2013.csv.zip": zipped("FER2013.csv"),
  "fer2013.tar.gz": tarred("w:gz"),
  "fer2013.tgz": tarred("w:gz"),
  "fer2013.tar": tarred("w"),
}


@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize("folder", [".", "deeper"])
def test_packed_files_are_read(tmp_path, name, folder):
  path = tmp_path / folder / name
  path.parent.mkdir(exist_ok=True)
  path.write_bytes(PACKED[name])
  for data_dir in (tmp_path, path):
    (found,) = fer2013.Fer2013.source_files(data_dir)
    assert found == path
    rows = fer2013.read_rows(found)
    assert rows.ids == ["Training-00000"]
    assert (rows.images == 7).all()
  left = [p for p in tmp_path.rglob("*") if p.is_file()]
  assert left == [path]


@pytest.mark.parametrize(
  "name", ["FER2013.CSV", "deeper/fer2013.csv", "fer2013/Fer2013.csv"]
)
def test_other_names_and_places_are_found(tmp_path, name):
  (tmp_path / name).parent.mkdir(exist_ok=True)
  (tmp_path / name).write_bytes(CSV)
  assert fer2013.Fer2013.source_files(tmp_path) == [tmp_path / name]


def test_the_path_of_the_file_will_do(tmp_path):
  (tmp_path / "fer2013.csv").write_bytes(b"of another set")
  path = tmp_path / "fer2013 (1).csv"
  path.write_bytes(CSV)
  assert fer2013.Fer2013.source_files(path) == [path]
  with pytest.raises(FileNotFoundError, match="two files, such as"):
    ferplus.FerPlus.source_files(path)


@pytest.mark.parametrize(
  "name", ["fer2013.csv.gz", "fer2013.zip", "fer2013.tar.gz"]
)
def test_a_cut_archive_is_named(tmp_path, name):
  path = tmp_path / name
  path.write_bytes(PACKED[name][:-20])
  with pytest.raises(UserError, match="cannot be unpacked") as error:
    fer2013.read_rows(fer2013.Fer2013.source_files(tmp_path)[0])
  assert str(path) in str(error.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="No pipes here.")
@pytest.mark.parametrize("name", ["fer2013.csv", "fer2013.zip"])
def test_a_pipe_is_not_waited_for(tmp_path, name):
  os.mkfifo(tmp_path / name)
  with pytest.raises(OSError, match=r"is no plain file|No FER2013"):
    fer2013.read_rows(fer2013.Fer2013.source_files(tmp_path)[0])


def test_what_a_mac_adds_to_an_archive_is_passed_over(tmp_path):
  with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
    archive.writestr("__MACOSX/fer2013.csv", b"junk")
    archive.writestr("fer2013.csv", CSV)
  (found,) = fer2013.Fer2013.source_files(tmp_path)
  assert fer2013.read_rows(found).ids == ["Training-00000"]


def test_a_csv_in_utf_16_is_called_so(tmp_path):
  (tmp_path / "fer2013.csv").write_bytes(CSV.decode().encode("utf-16"))
  with pytest.raises(UserError, match="Save it as CSV with commas, in UTF-8"):
    fer2013.read_rows(tmp_path / "fer2013.csv")


def test_an_archive_of_something_else_is_no_set(tmp_path):
  (tmp_path / "archive.zip").write_bytes(zipped("train/angry/1.jpg"))
  with pytest.raises(FileNotFoundError) as error:
    fer2013.Fer2013.source_files(tmp_path)
  assert "It holds archive.zip" in str(error.value)
  assert "unpack that first" in str(error.value)
  with pytest.raises(UserError, match=r"holds none of fer2013\.csv"):
    fer2013.read_rows(tmp_path / "archive.zip")


def test_a_file_with_too_many_rows_ends(tmp_path):
  path = tmp_path / "fer2013.csv"
  path.write_bytes(CSV + CSV.splitlines()[1])
  with pytest.raises(UserError, match="more than 1 rows"):
    fer2013.read_rows(path, max_rows=1)


def write_kaggle(folder, rows=20):
  lines = ["emotion,pixels", *[f"{k % 2},{PIXELS}" for k in range(rows)]]
  (folder / "train.csv").write_text("\n".join(lines))
  (folder / "test.csv").write_text(f"pixels\n{PIXELS}\n")


def test_kaggles_training_rows_are_read_with_a_tenth_held_out(tmp_path, caplog):
  write_kaggle(tmp_path)
  for data_dir in (tmp_path, tmp_path / "train.csv"):
    own = fer2013.Fer2013(data_dir=tmp_path / "prepared")
    splits = {k: list(v) for k, v in own.faces(data_dir).items()}
    assert {k: len(v) for k, v in splits.items()} == {
      "train": 18,
      "validation": 2,
      "test": 0,
    }
    assert {face.label for face in splits["validation"]} == {0, 1}
    ids = {face.id for own in splits.values() for face in own}
    assert ids == {f"Training-{k:05d}" for k in range(20)}
  assert "no test split" in caplog.text
  (tmp_path / "fer2013.csv.gz").write_bytes(gzip.compress(CSV))
  files = fer2013.Fer2013.source_files(tmp_path)
  assert [path.name for path in files] == ["fer2013.csv.gz"]


def test_a_train_csv_of_something_else_is_named(tmp_path):
  (tmp_path / "train.csv").write_text("PassengerId,Survived\n1,0\n")
  with pytest.raises(FileNotFoundError, match=r"It holds train\.csv\."):
    fer2013.Fer2013.source_files(tmp_path)


def test_all_images_of_the_folders_are_read_and_the_rest_is_named(tmp_path):
  write_folders(tmp_path)
  happy = tmp_path / "train/happy"
  content = (happy / "Training_2.jpg").read_bytes()
  for name in ("3.JPG", "4.png", "5.jpeg", "6", "7.txt"):
    (happy / name).write_bytes(content)
  (happy / "notes.txt").write_text("mine")
  (happy / "Thumbs.db").write_bytes(b"\0")
  names = [p.name for p in fer2013.Fer2013.source_files(tmp_path)]
  assert {"3.JPG", "4.png", "5.jpeg", "6", "7.txt"} < set(names)
  (line,) = fer2013.Fer2013.remarks(tmp_path)
  assert line.startswith("1 file in ") and "train/happy/notes.txt" in line


def test_folders_of_other_names_and_depth_are_read(tmp_path):
  for split, label in (("Train", "Happy"), ("Validation", "anger")):
    folder = tmp_path / "images" / split / label
    folder.mkdir(parents=True)
    PIL.Image.new("L", (48, 48)).save(folder / "1.png")
  own = fer2013.Fer2013(data_dir=tmp_path / "prepared")
  splits = {k: list(v) for k, v in own.faces(tmp_path).items()}
  assert [face.label for face in splits["train"]] == [3]
  assert [face.label for face in splits["validation"]] == [0]
  assert splits["test"] == []


def test_two_folders_of_one_class_are_refused(tmp_path):
  write_folders(tmp_path)
  (tmp_path / "train/happiness").mkdir()
  with pytest.raises(UserError, match="'happiness' and 'happy'"):
    fer2013.Fer2013.source_files(tmp_path)


def test_a_folder_too_deep_is_told_so(tmp_path):
  write_folders(tmp_path)
  with pytest.raises(FileNotFoundError, match="pass the folder above") as error:
    fer2013.Fer2013.source_files(tmp_path / "train")
  assert str(tmp_path) in str(error.value)


def test_votes_come_from_archives_too(tmp_path):
  votes = "Usage,Image name," + ",".join(ferplus.VOTE_COLUMNS)
  row = "Training,fer0000000.png," + ",".join(["10", *"0" * 9])
  text = f"{votes}\n{row}\n".encode()
  (tmp_path / "fer2013.csv.gz").write_bytes(gzip.compress(CSV))
  (tmp_path / "fer2013new.csv.gz").write_bytes(gzip.compress(text))
  csv_path, votes_path = ferplus.FerPlus.source_files(tmp_path)
  assert csv_path.name == "fer2013.csv.gz"
  assert ferplus.read_votes(votes_path)[1] == ["fer0000000"]
