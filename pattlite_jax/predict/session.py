"""A network in an ONNX file, run by onnxruntime."""

import hashlib
import os
import pathlib

import numpy as np

from pattlite_jax.runtime.errors import FileError, MissingFileError, UserError

# More take longer to wait for each other than they save on a network this
# small.
_MAX_THREADS = 4


class Session:
  """An ONNX file as a function of one array.

  `inputs` and `outputs` hold the shapes that the file declares; None stands
  for a size that is open.
  """

  def __init__(self, path: str | os.PathLike[str], *, open_sizes: bool = False):
    """Reads the file.

    `open_sizes` forgets the height and width that the file declares: those of
    a network of convolutions alone, which takes any.

    Raises:
      MissingFileError, FileError: if there is none, or it cannot be read.
      UserError: if onnxruntime cannot run it.
      ModuleNotFoundError: without onnxruntime; with `open_sizes`, onnx.
    """
    content = read(path)
    self.sha256 = hashlib.sha256(content).hexdigest()
    if open_sizes:
      content = _with_open_sizes(content)
    self._session = _load(content, path)
    inputs = self._session.get_inputs()
    self.inputs = [_shape(value.shape) for value in inputs]
    self.outputs = {
      value.name: _shape(value.shape) for value in self._session.get_outputs()
    }
    self.metadata = self._session.get_modelmeta().custom_metadata_map
    self._input = inputs[0].name if inputs else ""

  def __call__(self, values: np.ndarray) -> list[np.ndarray]:
    """Returns the outputs, in the order of `outputs`."""
    return list(map(np.asarray, self._session.run(None, {self._input: values})))


def read(path: str | os.PathLike[str]) -> bytes:
  """Returns the content of an ONNX file.

  Raises:
    MissingFileError, FileError: if there is none, or it cannot be read.
  """
  try:
    return pathlib.Path(path).expanduser().read_bytes()
  except FileNotFoundError as error:
    raise MissingFileError(f"There is no file {path}.") from error
  except OSError as error:
    raise FileError(f"{path} cannot be read: {error.strerror}.") from error


def _load(content: bytes, path: str | os.PathLike[str]):
  import onnxruntime  # Of the extra "predict".

  options = onnxruntime.SessionOptions()
  options.intra_op_num_threads = min(num_cpus(), _MAX_THREADS)
  options.log_severity_level = 3  # Errors; the rest is about the file's style.
  # Threads that wait in a loop would take time from decoding pictures.
  options.add_session_config_entry("session.intra_op.allow_spinning", "0")
  try:
    return onnxruntime.InferenceSession(
      content, options, providers=["CPUExecutionProvider"]
    )
  except Exception as error:  # It has classes of its own, without a base.
    reason = " ".join(str(error).split())
    raise UserError(f"{path} is no ONNX file that can be run: {reason}") from (
      error
    )


def _with_open_sizes(content: bytes) -> bytes:
  """Returns a file whose images and maps [N, C, H, W] may have any H and W."""
  import onnx  # Of the extra "export".

  model = onnx.load_model_from_string(content)
  del model.graph.value_info[:]
  weights = {weight.name for weight in model.graph.initializer}
  for value in (*model.graph.input, *model.graph.output):
    if value.name in weights:  # Old files list them as inputs, too.
      continue
    sizes = value.type.tensor_type.shape.dim
    for size in (sizes[0], *sizes[2:]):
      size.Clear()
  return model.SerializeToString()


def num_cpus() -> int:
  """Returns the number of CPUs that this process may use."""
  if hasattr(os, "sched_getaffinity"):
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1


def _shape(shape: list[int | str | None]) -> tuple[int | None, ...]:
  return tuple(size if isinstance(size, int) else None for size in shape)
