"""Fetches FER2013 from Kaggle, when the user asks for it.

No other set can be fetched: RAF-DB and CK+ are given out by their authors.
"""

import gzip
import os
import pathlib
import shutil
import tarfile
import zlib

from absl import logging

from pattlite_jax.data import user_files
from pattlite_jax.runtime.errors import MissingFileError, UserError

CONTEST = (
  "challenges-in-representation-learning-facial-expression-recognition-"
  "challenge"
)
CONTEST_URL = f"https://www.kaggle.com/c/{CONTEST}"
ARCHIVE = "fer2013.tar.gz"
CSV = "icml_face_data.csv"


def download_if_missing(builder_class: type, data_dir: user_files.Path) -> None:
  """Fetches the files of a data set into `data_dir`, unless they are there.

  Raises:
    MissingFileError: if Kaggle does not carry the set; says who does.
    UserError: if kagglehub or the user's credentials are missing, or if
      Kaggle refuses.
  """
  try:
    builder_class.source_files(data_dir)
    return
  except MissingFileError as error:
    if builder_class.__name__ not in ("Fer2013", "FerPlus"):
      raise MissingFileError(
        f"{error} This data set cannot be downloaded: Kaggle's contests carry "
        "FER2013 only.",
        setting=error.setting,
      ) from error
  if not isinstance(data_dir, pathlib.Path):
    raise UserError(
      f"A data set is downloaded to a local folder, but the data directory is "
      f"{data_dir}. Fetch the files first and copy them there.",
      setting="data.dir",
    )
  if not _has_csv(data_dir):
    _fetch_contest(data_dir)


def _has_csv(data_dir: pathlib.Path) -> bool:
  from pattlite_jax.data.readers import fer2013_files

  return fer2013_files.find(data_dir) is not None


def _fetch_contest(data_dir: pathlib.Path) -> None:
  """Downloads the contest's files and leaves its csv in `data_dir`."""
  try:
    import kagglehub  # pyrefly: ignore[missing-import]
  except ImportError as error:
    raise UserError(
      "The download needs the package kagglehub. Install it with pip install "
      f"kagglehub, or get the file by hand from {CONTEST_URL}.",
      setting="data.download",
    ) from error
  _require_credentials()
  logging.warning("Downloading FER2013 from %s to %s.", CONTEST_URL, data_dir)
  try:
    fetched = pathlib.Path(kagglehub.competition_download(CONTEST))
  except Exception as error:  # Kagglehub raises errors of many libraries.
    raise UserError(
      f"Kaggle did not hand out the contest's files ({error}). Accept its "
      f"rules at {CONTEST_URL} with the account of your credentials, or turn "
      "the download off and get the file by hand.",
      setting="data.download",
    ) from error
  data_dir.mkdir(parents=True, exist_ok=True)
  _take_csv(fetched, data_dir)


def _require_credentials() -> None:
  """Raises UserError unless Kaggle credentials can be found."""
  by_environment = os.environ.get("KAGGLE_API_TOKEN") or (
    os.environ.get("KAGGLE_USERNAME") and os.environ.get("KAGGLE_KEY")
  )
  folder = os.environ.get("KAGGLE_CONFIG_DIR", "~/.kaggle")
  path = pathlib.Path(folder).expanduser() / "kaggle.json"
  token_path = path.with_name("access_token")
  if not by_environment and not path.is_file() and not token_path.is_file():
    raise UserError(
      f"No Kaggle credentials: neither {path} nor the environment variables "
      "KAGGLE_API_TOKEN, or KAGGLE_USERNAME and KAGGLE_KEY, are there. Create "
      "a token at https://www.kaggle.com/settings, or turn the download off "
      f"and get the file by hand from {CONTEST_URL}.",
      setting="data.download",
    )


def _take_csv(fetched: pathlib.Path, data_dir: pathlib.Path) -> None:
  """Copies the csv out of the downloaded folder, or out of its archive."""
  archive = next(iter(sorted(fetched.rglob(ARCHIVE))), None)
  table = next(iter(sorted(fetched.rglob(CSV))), None)
  if archive:
    _extract_csv(archive, data_dir)
  elif table:
    # Under the final name only when whole, should the copy be cut short.
    partial = data_dir / f"{CSV}.partial"
    shutil.copyfile(table, partial)
    partial.rename(data_dir / CSV)
  if not _has_csv(data_dir):
    names = sorted(path.name for path in fetched.rglob("*") if path.is_file())
    raise UserError(
      f"Neither {CSV} nor an {ARCHIVE} with fer2013.csv is among the "
      f"contest's files {names} in {fetched}. Get the file by hand from "
      f"{CONTEST_URL} into the data directory.",
      setting="data.dir",
    )


def _extract_csv(archive: pathlib.Path, data_dir: pathlib.Path) -> None:
  """Copies fer2013.csv, if the archive has it, into `data_dir`.

  Only its bytes are read: no path of the archive is ever written to.
  """
  partial = data_dir / "fer2013.csv.partial"
  try:
    with tarfile.open(archive) as tar:
      for member in tar:
        content = tar.extractfile(member)
        if content and pathlib.PurePath(member.name).name == "fer2013.csv":
          with partial.open("wb") as file:
            shutil.copyfileobj(content, file)
          partial.rename(data_dir / "fer2013.csv")
          return
  except (
    tarfile.TarError,
    gzip.BadGzipFile,
    zlib.error,
    EOFError,  # The archive was cut short.
  ) as error:
    partial.unlink(missing_ok=True)
    raise UserError(
      f"{archive} cannot be unpacked ({error}). Delete it, so that it is "
      f"fetched again, or get the file by hand from {CONTEST_URL}."
    ) from error
