# Sourced by the launch scripts: leaves `python` with the project and its extra
# "train" installed, in the active virtual environment or else in .venv. EXTRAS
# names more extras of pyproject.toml, such as "cuda" or "test,cuda". INSTALL=no
# takes the `python` on the PATH with what it has, for machines without a network.
# shellcheck shell=bash

if [[ "${INSTALL:-yes}" == no ]]; then
  export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
  return
fi
if [[ -z "${VIRTUAL_ENV:-}" && -z "${CONDA_PREFIX:-}" ]]; then
  if [[ ! -x .venv/bin/python ]]; then
    # TensorFlow 2.21 has no wheels for Python 3.14.
    for candidate in python3.13 python3.12 python3.11 python3 python; do
      if "$candidate" -c 'import sys, venv, ensurepip; assert (3, 11) <= sys.version_info < (3, 14)' \
        2>/dev/null; then
        break
      fi
      candidate=
    done
    if [[ -z "$candidate" ]]; then
      echo "No Python 3.11, 3.12 or 3.13 with venv found on the PATH." >&2
      exit 1
    fi
    echo "Making .venv with $("$candidate" --version)."
    "$candidate" -m venv .venv
  fi
  # shellcheck source=/dev/null
  source .venv/bin/activate
fi

extras="train${EXTRAS:+,$EXTRAS}"
# Installs again only after pyproject.toml or the wanted extras have changed.
stamp="$(python -c 'import sys; print(sys.prefix)')/.pattlite_jax_${extras//,/_}"
wanted="$PWD $(cksum < pyproject.toml)"
if [[ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]]; then
  echo "Installing pattlite_jax and what it needs (a few minutes)."
  python -m pip install -qq --disable-pip-version-check \
    --editable ".[$extras]"
  echo "$wanted" > "$stamp"
fi
