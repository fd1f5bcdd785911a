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
  "ck_plus": (
    "CK+ (Lucey et al., CVPRW 2010): posed expressions in a laboratory; for "
    "research only, by its authors' agreement."
  ),
}
_DRAWN = "Drawn faces: the figures say nothing about faces of people."


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
  about = _DATA.get(trained_on, _DRAWN)
  if not others and result["dataset"] == trained_on:
    return about
  parts = [f"Trained on: {about}"]
  parts += [
    f"Networks it learned from were trained on: {_DATA.get(name, _DRAWN)}"
    for name in others
  ]
  if result["dataset"] != trained_on:
    parts += [f"Scored on: {_DATA.get(result['dataset'], _DRAWN)}"]
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
    f"{_chosen(training['epoch_chosen_by'])} No face data but the training "
    f"split{_networks(described)}.{_changes(training['config_changes'])}"
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
  text = ""
  if started_from or taught_by:
    text += " and what the networks named here learned from"
  if started_from:
    text += f"; all weights started from {_named(started_from)}"
  elif config["model"]["trunk_weights"] == "imagenet":
    text += "; the trunk started from ImageNet"
  elif config["model"]["trunk_weights"] == "random":
    text += "; the trunk started from drawn weights"
  else:
    text += "; the trunk started from weights of its own"
  if taught_by:
    share = config["distillation"]["share"]
    view = config["distillation"].get("view", "clean")
    seen = "" if view == "clean" else ", asked on the student's own views"
    text += (
      f"; teachers, whose mean probabilities have a share of {share} in each "
      f"target{seen}: {_named(taught_by)}"
    )
  return text


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
