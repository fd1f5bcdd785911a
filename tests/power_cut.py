"""What a power cut would leave of a folder, at each moment of some writing.

Whoever writes may be told nothing until it syncs: of a file, what was in it at
its last fsync is on the disk, or nothing; of a folder, the names at its last
fsync, or any later ones. `PowerCuts` watches a folder while a test writes and
keeps, at each fsync, rename, removal and opening for writing, the disks that
may be found when the power comes back:
  "old"    nothing has reached the disk that was not synced
  "new"    names reach it at once, what is in the files only when synced
  others   each folder by chance the one or the other
"""

import contextlib
import os
import pathlib
import random
import sys
import threading

_EVENTS = ("open", "os.rename", "os.remove", "os.rmdir", "os.mkdir")
_BY_CHANCE = 2


class PowerCuts:
  """Keeps the disks that a power cut may leave; each once."""

  def __init__(self, root, seed=0):
    self.root = os.path.realpath(root)
    self.disks = {}  # Disk, as {relative path: bytes, or None for a folder}.
    self._random = random.Random(seed)
    self._lock = threading.RLock()
    self._on = False
    self._held = []  # Descriptors, so that no inode is used a second time.
    self._files = {}  # Inode: what was in it at its last fsync.
    self._names = {}  # A folder's inode: {name: (inode, is a folder)}.
    self._fsync = os.fsync
    for place, _, names in os.walk(self.root):  # All of it is on the disk.
      for path in (place, *(os.path.join(place, name) for name in names)):
        self._note(os.open(path, os.O_RDONLY))

  @contextlib.contextmanager
  def watched(self, monkeypatch):
    """Watches the writing of all threads meanwhile."""
    monkeypatch.setattr(os, "fsync", self._on_fsync)
    sys.addaudithook(self._on_event)  # It stays, but does nothing later.
    self._on = True
    try:
      yield self
    finally:
      self._cut()
      self._on = False
      monkeypatch.undo()
      for descriptor in self._held:
        os.close(descriptor)

  def _on_event(self, event, arguments):
    if not self._on or event not in _EVENTS:
      return
    path = arguments[0]
    if not isinstance(path, str | os.PathLike):
      return
    writes = event != "open" or (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR)
    if writes and os.path.realpath(path).startswith(self.root + os.sep):
      self._cut()

  def _on_fsync(self, descriptor):
    with self._lock:
      self._cut()
      self._fsync(descriptor)
      place = os.readlink(f"/proc/self/fd/{descriptor}")
      if place == self.root or place.startswith(self.root + os.sep):
        self._note(os.dup(descriptor))

  def _note(self, descriptor):
    """Notes what a file or folder holds as being on the disk."""
    self._held.append(descriptor)
    place = f"/proc/self/fd/{descriptor}"
    inode = os.fstat(descriptor).st_ino
    if os.path.isdir(place):
      self._names[inode] = _names_in(place)
    else:
      self._files[inode] = pathlib.Path(place).read_bytes()

  def _cut(self):
    with self._lock:
      if not self._on:
        return
      self._on = False  # What follows is no writing.
      try:
        for is_new in (
          lambda: False,
          lambda: True,
          *[lambda: self._random.random() < 0.5] * _BY_CHANCE,
        ):
          disk = {}
          inode = os.stat(self.root).st_ino
          self._read(inode, "", self._now(), is_new, disk)
          self.disks[tuple(sorted(disk.items()))] = disk
      finally:
        self._on = True

  def _now(self):
    """Returns the names in each folder as programs see them now."""
    now = {}
    for place, _, _ in os.walk(self.root):
      with contextlib.suppress(FileNotFoundError):  # Another thread deletes.
        now[os.stat(place).st_ino] = _names_in(place)
    return now

  def _read(self, inode, path, now, is_new, disk):
    old = self._names.get(inode, {})
    names = now.get(inode, old) if is_new() else old
    for name, (child, is_folder) in names.items():
      place = f"{path}{name}"
      disk[place] = None if is_folder else self._files.get(child, b"")
      if is_folder:
        self._read(child, f"{place}/", now, is_new, disk)


def _names_in(place):
  with os.scandir(place) as entries:
    return {e.name: (e.inode(), e.is_dir()) for e in entries}


def restore(disk, folder):
  """Writes a disk to a folder, as the machine finds it when it starts."""
  for name, data in disk.items():
    path = folder / name
    if data is None:
      path.mkdir(parents=True, exist_ok=True)
    else:
      path.parent.mkdir(parents=True, exist_ok=True)
      path.write_bytes(data)
