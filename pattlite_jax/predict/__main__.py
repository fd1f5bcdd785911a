"""Finds the faces of pictures, folders, videos or a camera, and reads them.

python -m pattlite_jax.predict PATH... [--model ferplus] [--csv F] [--json F]
  [--pictures DIR] [--passes whole,padded,tiles] [--detector F.onnx] [--faces]
  [--every N] [--fps F] [--resume]

A PATH is a picture, a folder (with all folders in it), a video, camera:0, or -
for paths on standard input, one a line. Without --csv and --json, a line a face
is printed. What cannot be read gets a row with the reason, and the exit status
is 1 at the end. docs/use.md tells the rest.
"""

import sys

from absl import app, flags

from pattlite_jax.runtime import output


def define_flags(values: flags.FlagValues) -> None:
  """Defines the flags that `main` reads."""
  for name, default, text in (
    (
      "model",
      "ferplus",
      "A network that comes with the package (ferplus, fer2013), a released "
      "folder, or a run's workdir.",
    ),
    ("csv", None, "A file for a row a face, or - for standard output."),
    ("json", None, "A file for a line of JSON a picture, or -."),
    ("pictures", None, "A folder for copies with the faces marked."),
    (
      "detector",
      None,
      "An ONNX file of CenterFace, YuNet or BlazeFace full range; default: "
      "BlazeFace, which comes with the package.",
    ),
  ):
    flags.DEFINE_string(name, default, text, flag_values=values)
  flags.DEFINE_list(
    "passes",
    None,
    "Where to look for faces: some of whole, padded (faces that fill a "
    "picture) and tiles (small faces). Default: all; of videos, whole.",
    flag_values=values,
  )
  flags.DEFINE_bool(
    "faces", False, "Each picture is a face already.", flag_values=values
  )
  flags.DEFINE_integer(
    "every", 1, "Of videos, each Nth frame.", lower_bound=1, flag_values=values
  )
  flags.DEFINE_float(
    "fps",
    None,
    "Of videos, at most so many frames a second.",
    lower_bound=0.001,
    flag_values=values,
  )
  flags.DEFINE_bool(
    "resume",
    False,
    "Go on with the files of --csv and --json, as a run left them.",
    flag_values=values,
  )


def main(argv: list[str], given: flags.FlagValues = flags.FLAGS) -> None:
  """Writes what was found; exits with 1 if something could not be read."""
  if len(argv) < 2:
    raise app.UsageError("Name pictures, folders, videos, camera:0 or -.")
  # Imported here so that --help needs none of it.
  from pattlite_jax.runtime import errors

  with errors.in_one_line(
    {
      "checkpoint": "--model=<name or folder>",
      "passes": "--passes",
      "detector": "--detector=<file>",
    }
  ):
    from pattlite_jax.predict import command

    status = command.execute(argv[1:], given)
  sys.exit(status)


if __name__ == "__main__":
  define_flags(flags.FLAGS)
  output.run_briefly(main)
