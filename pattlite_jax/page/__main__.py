"""Writes a page that finds faces and their expressions in the browser.

python -m pattlite_jax.page --out DIR [--model ferplus]
  [--onnxruntime_web node_modules/onnxruntime-web]

The folder is ready for any static host (`python -m http.server -d DIR` to try
it): a picture or the camera, boxes and probabilities. Once loaded the page asks
for nothing, so no picture leaves the visitor's machine. The runtime comes from
npm, or from the folder that --onnxruntime_web names.
"""

from absl import app, flags

from pattlite_jax.runtime import output

_OF_PAGE = {
  "model": "--model=<name or folder>",
  "out": "--out=<folder>",
  "onnxruntime_web": "--onnxruntime_web=<folder>",
}


def define_flags(values: flags.FlagValues) -> None:
  """Defines the flags that `main` reads."""
  flags.DEFINE_string(
    "out", None, "The folder to write.", required=True, flag_values=values
  )
  for name, default, text in (
    ("model", "ferplus", "The network, as pattlite_jax.load takes it."),
    (
      "onnxruntime_web",
      None,
      "Where npm installed onnxruntime-web; by default npm fetches it.",
    ),
  ):
    flags.DEFINE_string(name, default, text, flag_values=values)


def main(argv: list[str], given: flags.FlagValues = flags.FLAGS) -> None:
  """Writes the page and says how large it is."""
  if len(argv) > 1:
    raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
  # Imported here so that --help needs none of it.
  from pattlite_jax.runtime import errors, startup

  startup.configure()
  with errors.in_one_line(_OF_PAGE):
    from pattlite_jax.page import write

    transfer = write.write(given.model, given.out, given.onnxruntime_web)
  print(
    f"The page is in {given.out}: {transfer.raw / 1e6:.1f} MB, "
    f"{transfer.compressed / 1e6:.1f} MB where the host compresses."
  )


if __name__ == "__main__":
  define_flags(flags.FLAGS)
  output.run(main)
