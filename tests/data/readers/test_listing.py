import pytest

from pattlite_jax.data.readers import image_folder, listing
from pattlite_jax.runtime.errors import UserError


def touch(folder, *names, content=b""):
  for name in names:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


CLUTTER = (
  "__MACOSX/happy/._1.jpg",
  "happy/__MACOSX/x.jpg",
  "happy/._1.jpg",
  "happy/Thumbs.db",
  "happy/desktop.ini",
  "happy/@eaDir/1.jpg",
  ".DS_Store",
  "happy/.ipynb_checkpoints/1.jpg",
)


def test_what_systems_leave_behind_is_passed_over_at_every_level(tmp_path):
  touch(tmp_path, *CLUTTER, "happy/1.jpg", "happy/deep/2.jpg")
  found = [p.relative_to(tmp_path).as_posix() for p in
           listing.files_below(tmp_path)]  # fmt: skip
  assert found == ["happy/1.jpg", "happy/deep/2.jpg"]
  assert listing.unread(tmp_path, list(listing.files_below(tmp_path))) == []


def test_what_is_not_read_is_counted_by_its_ending(tmp_path):
  touch(tmp_path, *CLUTTER, "a.jpg", "b.TXT", "x/c.txt", "x/README")
  (line,) = listing.unread(tmp_path, [tmp_path / "a.jpg"])
  assert line.startswith(f"3 files in {tmp_path} are not read")
  assert "2 .txt, 1 no ending" in line
  assert "such as b.TXT" in line


def test_names_are_found_in_any_letter_case(tmp_path):
  touch(tmp_path, "FER2013.CSV", "b.csv", "B.csv")
  assert listing.child(tmp_path, ["fer2013.csv"]).name == "FER2013.CSV"
  assert listing.child(tmp_path, ["b.csv"]).name == "b.csv"
  assert listing.child(tmp_path, ["none", "B.csv"]).name == "B.csv"
  assert listing.child(tmp_path, ["none"]) is None


def test_a_set_may_lie_one_folder_deeper(tmp_path):
  def is_root(folder):
    return (folder / "mark").exists()

  touch(tmp_path, "sub/mark", "other/x")
  assert listing.root(tmp_path, is_root) == tmp_path / "sub"
  touch(tmp_path, "other/mark")
  with pytest.raises(UserError, match=r"several folders.*other, sub"):
    listing.root(tmp_path, is_root)
  touch(tmp_path, "mark")
  assert listing.root(tmp_path, is_root) == tmp_path
  assert listing.root(tmp_path / "none", is_root) is None


def test_a_link_to_a_folder_above_is_not_followed_for_ever(tmp_path):
  touch(tmp_path, "a/1.jpg")
  (tmp_path / "a/up").symlink_to(tmp_path)
  assert [p.name for p in listing.files_below(tmp_path)] == ["1.jpg"]


def test_a_message_says_what_is_there(tmp_path):
  folder = tmp_path / "Data"
  assert listing.describe(folder) == "There is no such folder."
  folder.mkdir()
  near = listing.describe(tmp_path / "data")
  assert near == f"There is no such folder. Did you mean {folder}?"
  assert listing.describe(folder) == "The folder is empty."
  touch(folder, "set.zip", "two\nlines.txt", "sub/x")
  text = listing.describe(folder)
  assert "It holds sub/, set.zip, two\\nlines.txt." in text
  assert "unpack that first" in text
  assert "\n" not in text
  assert listing.describe(folder / "set.zip") == "That is a file."
  touch(folder, *(f"{k}{'x' * 150}" for k in range(100)))
  assert "and 95 more" in listing.describe(folder)
  assert len(listing.describe(folder)) < 800


# The first bytes of files of each kind, whatever they are called.
STARTS = {
  "JPEG": b"\xff\xd8\xff\xe0\0\x10JFIF",
  "PNG": b"\x89PNG\r\n\x1a\n",
  "GIF": b"GIF89a\1\0\1\0",
  "BMP": b"BM\x36\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0",
  "TIFF": b"II*\0\x08\0\0\0",
  "WEBP": b"RIFF\x24\0\0\0WEBPVP8 ",
}
OTHERS = {
  "text": b"BMI of the persons in the pictures",
  "WAV": b"RIFF\x24\0\0\0WAVEfmt ",
  "zip": b"PK\3\4",
  "empty": b"",
}


@pytest.mark.parametrize("kind", [*STARTS, *OTHERS])
def test_images_are_told_by_their_content(tmp_path, kind):
  content = (STARTS | OTHERS)[kind]
  touch(tmp_path, "a", "a.txt", "a.dat", content=content)
  names = [path.name for path in image_folder.images(tmp_path)]
  assert names == (["a", "a.dat", "a.txt"] if kind in STARTS else [])


def test_an_ending_of_pictures_is_believed(tmp_path):
  touch(tmp_path, "a.JPG", "b.jpeg", "c.Png", "d.txt", "e.jpg/f.jpg")
  names = [path.name for path in image_folder.images(tmp_path)]
  assert names == ["a.JPG", "b.jpeg", "c.Png"]
  names = [path.name for path in image_folder.images_below(tmp_path)]
  assert names == ["a.JPG", "b.jpeg", "c.Png", "f.jpg"]
