"""Where a network comes from, for its card: data, training, teachers."""

from typing import Any

from pattlite_jax.runtime.origin import Origin

# What a reader has to know of the data, by data set.
_DATA = {
  "fer2013": (
    "FER2013 (ICML 2013, Challenges in Representation Learning): 48x48 grey "
    "faces that an image search found for words of emotion. Its labels are "
    "noisy (people agree with about 65 % of them, Goodfellow et al. 2013), its "
    "splits share images, and disgust is rare. It has no licence; the rules of "
    "the contest allow research."
  ),
  "ferplus": (
    "FER+ (Barsoum et al., ICMI 2016): the images of FER2013 with the votes of "
    "ten people each. Contempt, disgust and fear are rare. The votes are under "
    "MIT; the images have no licence, and FER2013's rules allow research."
  ),
  "raf_db": (
    "RAF-DB (Li et al., CVPR 2017): aligned faces from the web with labels of "
    "about 40 people each; for research only, by its authors' agreement."
  ),
  "synthetic_faces": (
    "Drawn faces: the figures say nothing about faces of people."
  ),
  "ck_plus": (
    "CK+ (Lucey et al., CVPRW 2010): posed expressions in a laboratory; for "
    "research only, by its authors' agreement."
  ),
}
_OWN = (
  "A data set of its trainer's own: where its faces come from, and under which "
  "terms, is known there alone."
)


def of_data(described: dict[str, Any]) -> str:
  """Says what it and networks before it learned from, and what scored it."""
  result, training = described["evaluation"], described["training"]
  trained_on = _set(result["trained_on"])
  origins = [
    Origin.from_json(origin)
    for part in ("started_from", "taught_by")
    for origin in training.get(part, {}).values()
  ]
  others = sorted({_set(origin.dataset) for origin in origins} - {trained_on})
  about = _DATA.get(trained_on, _OWN)
  if not others and result["dataset"] == trained_on:
    return about
  parts = [f"Trained on: {about}"]
  parts += [
    f"Networks it learned from were trained on: {_DATA.get(name, _OWN)}"
    for name in others
  ]
  if result["dataset"] != trained_on:
    parts += [f"Scored on: {_DATA.get(result['dataset'], _OWN)}"]
  return "\n\n".join(parts)


def _set(name: str) -> str:
  return name.partition("/")[0]


def of_training(described: dict[str, Any]) -> str:
  """Says how, where and from what the network was trained."""
  training = described["training"]
  hours = training["hours"]
  where = [training["machine"], training["device"]]
  where += [] if hours is None else [f"{hours:.1f} hours"]
  epochs = " + ".join(map(str, training["epochs"].values()))
  return (
    f"```bash\n{training['command']}\n```\n\n"
    f"Revision {training['git_revision']}; {', '.join(filter(None, where))}; "
    f"{epochs} epochs (stage 1 + 2), seed {training['seed']}. "
    f"{_chosen(training['epoch_chosen_by'])} {_networks(described)}."
    f"{_changes(training['config_changes'])}"
  )


def _chosen(monitor: str | None) -> str:
  if monitor == "val_accuracy":
    return (
      "The epoch was chosen by the accuracy on the validation split, which is "
      "therefore slightly optimistic."
    )
  if monitor == "last_epoch":
    return "The weights are those of the last epoch."
  return f"The epoch was chosen by {monitor}."


def _networks(described: dict[str, Any]) -> str:
  """Says what it started from, and who had a share in the targets."""
  training, config = described["training"], described["config"]
  started_from = training.get("started_from")
  taught_by = training.get("taught_by")
  weights = _trunk_weights(described)
  text = "No face data but the training split"
  if config["data"].get("train_on_validation"):
    text += " and the validation split"
  if started_from or taught_by:
    text += " and what the networks named here learned from"
  if weights == "own":
    text += " and what the trunk's first weights learned from"
  text += {
    "imagenet": "; the trunk started from ImageNet",
    "random": "; the trunk started from drawn weights",
    "own": "; the trunk started from a file of its trainer's own",
    "": f"; all weights started from {_named(started_from or {})}",
  }[weights]
  if taught_by:
    share = config["distillation"]["share"]
    view = config["distillation"].get("view", "clean")
    seen = "" if view == "clean" else ", asked on the student's own views"
    text += (
      f"; teachers, whose mean probabilities have a share of {share} in each "
      f"target{seen}: {_named(taught_by)}"
    )
  return text


def _trunk_weights(described: dict[str, Any]) -> str:
  """Returns "imagenet", "random", "own", or "" where all weights were given."""
  if described["training"].get("started_from"):
    return ""
  weights = described["config"]["model"]["trunk_weights"]
  return weights if weights in ("imagenet", "random") else "own"


def of_licence(described: dict[str, Any]) -> str:
  """Says what the weights may be used for, as far as that is known here."""
  apache = "The weights are under Apache-2.0"
  return {
    "imagenet": f"{apache}, as the ImageNet trunk they started from; the "
    "data's terms are above.",
    "random": f"{apache}; the data's terms are above.",
    "own": "The weights' licence depends on that of the trunk's first weights; "
    "the data's terms are above.",
    "": f"{apache}, as far as those that they started from are; the data's "
    "terms are above.",
  }[_trunk_weights(described)]


def _named(networks: dict[str, Any]) -> str:
  return ", ".join(
    f"`{name}` ({Origin.from_json(origin)})"
    for name, origin in networks.items()
  )


def _changes(changes: list[dict[str, Any]]) -> str:
  """Says what config.resume=force has let through, if anything."""
  if not changes:
    return ""
  lines = (
    f"\n- step {c['step']}: `{c['field']}` {c['old']} -> {c['new']}"
    for c in changes
  )
  return f"\n\nThe config changed on the way:{''.join(lines)}"
