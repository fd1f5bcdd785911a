"""Where the weights of a trained network come from."""

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Origin:
  """The data set, the weights, and the networks that they learned from.

  A figure owes something to the labels of all networks that came before.
  """

  dataset: str
  sha256: str  # Hash of the weights and class names: its first 16 hex digits.
  ancestors: tuple[str, ...]  # As config.start_from and teachers name them.

  def __str__(self) -> str:
    """Returns such as "fer2013, sha256 0123456789abcdef, from ferplus"."""
    return ", from ".join(
      [f"{self.dataset}, sha256 {self.sha256}", *self.ancestors]
    )

  def to_json(self) -> dict[str, Any]:
    """Returns what `from_json` reads."""
    return dataclasses.asdict(self) | {"ancestors": list(self.ancestors)}

  @classmethod
  def from_json(cls, saved: Mapping[str, Any] | str) -> "Origin":
    """Reads what `to_json` returned, or the text that older versions stored.

    They joined the names of several teachers with commas.
    """
    if not isinstance(saved, str):
      return cls(saved["dataset"], saved["sha256"], tuple(saved["ancestors"]))
    head, *names = saved.split(", from ")
    dataset, _, sha256 = head.partition(", sha256 ")
    return cls(
      dataset, sha256, tuple(n for name in names for n in name.split(","))
    )


Networks = Mapping[str, Mapping[str, Origin]]  # By their part and their name.


def networks_to_json(networks: Networks) -> dict[str, dict[str, Any]]:
  """Returns the networks that a run learns from, as its result lists them."""
  return {
    part: {name: origin.to_json() for name, origin in origins.items()}
    for part, origins in networks.items()
  }
