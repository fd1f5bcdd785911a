"""Writes a trained network for other runtimes, and tries the file beside JAX.

python -m pattlite_jax.export --model ferplus --format onnx --out ferplus.onnx
  [--precision float16]

  onnx       for ONNX Runtime, on any machine and in browsers: float32, float16
             (half the size, the same arithmetic) or int8, which needs faces to
             calibrate on: [--dataset ferplus/argmax --data_dir <folder>]
             [--packed F.npz]
  tflite     for LiteRT, on phones: float32 or float16
  stablehlo  for JAX without this package, on CPUs, CUDA and TPUs; every method

A file takes faces, uint8 [batch, H, W, C] as in training, and gives
probabilities; its metadata has the classes, and all else that its user must
know. No file is written that differs from JAX.
"""

from absl import app, flags

from pattlite_jax.data import flags as data_flags
from pattlite_jax.runtime import output

FORMATS = ("onnx", "tflite", "stablehlo")
PRECISIONS = ("float32", "float16", "int8")
LOWERINGS = ("auto", "plain")
_OF_EXPORT = {
  **data_flags.OF_COMMANDS,
  "model": "--model=<name or folder>",
  "format": "--format=<format>",
  "precision": "--precision=<precision>",
}


def define_flags(values: flags.FlagValues) -> None:
  """Defines the flags that `main` reads."""
  for name, text in (
    ("model", "The network, as pattlite_jax.load takes it."),
    ("out", "The file to write."),
  ):
    flags.DEFINE_string(name, None, text, required=True, flag_values=values)
  for name, default, choices, text in (
    ("format", None, FORMATS, "The kind of file."),
    ("precision", "float32", PRECISIONS, "How the weights are stored."),
    (
      "lowering",
      "auto",
      LOWERINGS,
      "Of stablehlo: auto is fastest in JAX on each platform; plain has no "
      "branch on the platform, for other programs that read StableHLO.",
    ),
  ):
    flags.DEFINE_enum(
      name,
      default,
      choices,
      text,
      required=default is None,
      flag_values=values,
    )
  data_flags.define_data(values)


def main(argv: list[str], given: flags.FlagValues = flags.FLAGS) -> None:
  """Exports the network and says what was checked."""
  if len(argv) > 1:
    raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
  # Imported here so that --help needs none of it.
  from pattlite_jax.runtime import errors, startup

  startup.configure()
  with errors.in_one_line(_OF_EXPORT), startup.without_chatter():
    from pattlite_jax.export import write

    said = write.export(
      given.model,
      given.format,
      given.out,
      precision=given.precision,
      lowering=given.lowering,
      choice=data_flags.data_choice(given),
    )
  print(_text(given.out, said))


def _text(out: str, said: dict) -> str:
  lines = [
    f"{out}: {said['precision']}, differs from JAX by at most "
    f"{said['largest_difference']:.2g} in a probability ({said['checked_on']})."
  ]
  if "int8_accuracy" in said:
    lines.append(
      f"Accuracy on validation faces: {said['int8_accuracy']:.4f}; float32: "
      f"{said['float32_accuracy']:.4f}."
    )
  return "\n".join(lines)


if __name__ == "__main__":
  define_flags(flags.FLAGS)
  output.run(main)
