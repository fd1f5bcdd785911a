"""Checks where an HDF5 file keeps its strings, before the library reads them.

HDF5 1.14 never returns from a damaged "global heap collection", as a file that
lost or gained a few bytes has one. Its form is in the HDF5 File Format
Specification, III.E: a header of 16 bytes with the collection's size, then
objects of 16 bytes and a body each; the object 0 is the free space at the end.
"""

import re
import struct

from pattlite_jax.runtime.errors import UserError

_SIGNATURE = rb"GCOL\x01"
_HEADER = 16  # Bytes of a collection's and of an object's header.


def check_strings(data: bytes) -> None:
  """Raises UserError unless all collections of a file's bytes are whole."""
  for match in re.finditer(_SIGNATURE, data):
    start = match.start()
    end = start + int.from_bytes(data[start + 8 : start + 16], "little")
    place = start + _HEADER
    while place + _HEADER <= min(end, len(data)):
      index, size = struct.unpack_from("<H6xQ", data, place)
      if index == 0 and size < _HEADER:
        break
      # Bodies fill whole groups of 8 bytes; free space counts its header.
      place += size if index == 0 else _HEADER + -(-size // 8) * 8
    if not place <= end < place + _HEADER or end > len(data):
      raise UserError(f"its strings at byte {start:,} are damaged")
