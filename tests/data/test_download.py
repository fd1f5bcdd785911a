import io
import sys
import tarfile
import types

import pytest

from pattlite_jax.data import download, load
from pattlite_jax.data.readers.ck_plus import CkPlus
from pattlite_jax.data.readers.fer2013 import Fer2013
from pattlite_jax.data.readers.raf_db import RafDb
from pattlite_jax.runtime.errors import UserError

ROW = f"3,{' '.join(['9'] * 2304)},Training"
CSV = f"emotion,pixels,Usage\n{ROW}\n"


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch, tmp_path):
  for name in ("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY"):
    monkeypatch.delenv(name, raising=False)
  monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path / "no_kaggle"))


@pytest.fixture
def kaggle(monkeypatch, tmp_path):
  """A kagglehub that hands out the folder `tmp_path/cache`; with a token."""
  monkeypatch.setenv("KAGGLE_API_TOKEN", "secret")
  cache = tmp_path / "cache"
  cache.mkdir()
  calls = []

  def competition_download(handle):
    calls.append(handle)
    return str(cache)

  module = types.ModuleType("kagglehub")
  module.competition_download = competition_download
  monkeypatch.setitem(sys.modules, "kagglehub", module)
  return types.SimpleNamespace(cache=cache, calls=calls, module=module)


def write_archive(path, member, text):
  with tarfile.open(path, "w:gz") as tar:
    info = tarfile.TarInfo(member)
    info.size = len(text)
    tar.addfile(info, io.BytesIO(text.encode()))


def test_the_csv_is_taken_out_of_the_archive(kaggle, tmp_path):
  write_archive(kaggle.cache / "fer2013.tar.gz", "fer2013/fer2013.csv", CSV)
  splits = load.load_splits(
    "fer2013",
    data_dir=str(tmp_path / "data"),
    prepared_dir=str(tmp_path / "prepared"),
    image_size=48,
    download=True,
  )
  assert splits["train"].labels.tolist() == [3]
  assert kaggle.calls == [download.CONTEST]
  files = [path.name for path in (tmp_path / "data").iterdir()]
  assert files == ["fer2013.csv"]


def test_the_loose_csv_is_taken_if_there_is_no_archive(kaggle, tmp_path):
  (kaggle.cache / "icml_face_data.csv").write_text(CSV)
  download.download_if_missing(Fer2013, tmp_path / "data")
  assert (tmp_path / "data/icml_face_data.csv").read_text() == CSV


def test_nothing_is_fetched_if_the_files_are_there(kaggle, tmp_path):
  (tmp_path / "fer2013.csv").write_text(CSV)
  download.download_if_missing(Fer2013, tmp_path)
  assert kaggle.calls == []


def test_ferplus_needs_the_votes_from_elsewhere(kaggle, tmp_path):
  (kaggle.cache / "icml_face_data.csv").write_text(CSV)
  with pytest.raises(FileNotFoundError, match=r"fer2013new\.csv.*FERPlus"):
    load.load_splits(
      "ferplus/majority",
      data_dir=str(tmp_path / "data"),
      prepared_dir=str(tmp_path / "prepared"),
      image_size=48,
      download=True,
    )
  assert (tmp_path / "data/icml_face_data.csv").is_file()


def test_an_archive_cannot_write_outside_the_folder(kaggle, tmp_path):
  write_archive(kaggle.cache / "fer2013.tar.gz", "../../fer2013.csv", CSV)
  download.download_if_missing(Fer2013, tmp_path / "data")
  assert list(tmp_path.rglob("fer2013.csv")) == [tmp_path / "data/fer2013.csv"]


def test_a_broken_archive_is_named(kaggle, tmp_path):
  (kaggle.cache / "fer2013.tar.gz").write_bytes(b"not an archive")
  with pytest.raises(UserError, match="cannot be unpacked"):
    download.download_if_missing(Fer2013, tmp_path / "data")


def test_a_cut_archive_is_named(kaggle, tmp_path):
  path = kaggle.cache / "fer2013.tar.gz"
  write_archive(path, "fer2013/fer2013.csv", CSV)
  path.write_bytes(path.read_bytes()[:-30])
  with pytest.raises(UserError, match="cannot be unpacked"):
    download.download_if_missing(Fer2013, tmp_path / "data")
  assert list((tmp_path / "data").iterdir()) == []


def test_other_contents_are_listed(kaggle, tmp_path):
  (kaggle.cache / "readme.txt").touch()
  with pytest.raises(UserError, match=r"\['readme\.txt'\]"):
    download.download_if_missing(Fer2013, tmp_path / "data")


def test_a_refusal_of_kaggle_says_to_accept_the_rules(kaggle, tmp_path):
  def refuse(handle):
    raise OSError("403 Forbidden")

  kaggle.module.competition_download = refuse
  with pytest.raises(UserError, match=r"403 Forbidden.*Accept its rules"):
    download.download_if_missing(Fer2013, tmp_path / "data")


def test_without_the_package_it_says_what_to_install(monkeypatch, tmp_path):
  monkeypatch.setitem(sys.modules, "kagglehub", None)
  with pytest.raises(UserError, match="pip install kagglehub"):
    download.download_if_missing(Fer2013, tmp_path)


def test_without_credentials_it_says_where_to_get_them(
  kaggle, monkeypatch, tmp_path
):
  monkeypatch.delenv("KAGGLE_API_TOKEN")
  monkeypatch.setenv("KAGGLE_USERNAME", "somebody")  # A key is missing.
  with pytest.raises(UserError, match=r"KAGGLE_KEY.*kaggle\.com/settings"):
    download.download_if_missing(Fer2013, tmp_path / "data")
  assert kaggle.calls == []


def test_each_kind_of_credentials_is_enough(kaggle, monkeypatch, tmp_path):
  (kaggle.cache / "icml_face_data.csv").write_text(CSV)
  monkeypatch.delenv("KAGGLE_API_TOKEN")
  (tmp_path / "no_kaggle").mkdir()
  (tmp_path / "no_kaggle/kaggle.json").write_text("{}")
  download.download_if_missing(Fer2013, tmp_path / "by_file")
  (tmp_path / "no_kaggle/kaggle.json").unlink()
  monkeypatch.setenv("KAGGLE_USERNAME", "somebody")
  monkeypatch.setenv("KAGGLE_KEY", "secret")
  download.download_if_missing(Fer2013, tmp_path / "by_name")
  assert len(kaggle.calls) == 2


@pytest.mark.parametrize("builder_class", [RafDb, CkPlus])
def test_sets_that_kaggle_does_not_carry_say_so(builder_class, tmp_path):
  with pytest.raises(FileNotFoundError, match=r"authors.*FER2013 only"):
    download.download_if_missing(builder_class, tmp_path)
