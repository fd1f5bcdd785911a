"""The launch scripts run on bash 3.2 with BSD tools, which macOS brings.

Neither is here to run them, and shellcheck knows only the newest bash, so the
constructs are looked for that one of the two lacks.
"""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parent.parent
SCRIPTS = sorted(
  [
    *(ROOT / "launch").glob("*.sh"),
    *(ROOT / "launch").glob("*.sbatch"),
    ROOT / ".ci/run",
  ]
)
TOOLS = (
  "awk basename cat chmod cp cut date df dirname du find grep head ln ls mkdir "
  "mktemp mv paste ps readlink rm rmdir sed sort split stat tail tar tee touch "
  "tr uniq wc xargs"
).replace(" ", "|")
# What it is: (a pattern, a line that has it, a line that has not).
LACKING = {
  'an array that is "unbound" where it is empty (set -u)': (
    r'(?<!\+)(?<!\+")\$\{[A-Za-z_]\w*\[[@*]\]\}',
    'run "${flags[@]}"',
    'run ${flags[@]+"${flags[@]}"} "$@" "${@:2}" ${#flags[@]}',
  ),
  "declare -A, -g, -n, -l, -u": (
    r"\b(declare|local|typeset|readonly) +-\w*[Agnlu]",
    "local -A found=()",
    "local found=()",
  ),
  "mapfile, readarray, coproc": (
    r"(^|[;&|({]) *(mapfile|readarray|coproc)\b",
    "  mapfile -t lines < f",
    "echo mapfile",
  ),
  "|&, &>>": (r"\|&|&>>", "run |& tee f", "run 2>&1 | tee f && a || b &"),
  ";& and ;;&": (r";&|;;&", "a) b ;;&", "a) b ;; & c"),
  "${x,,}, ${x^}": (
    r"\$\{!?\w+(\[[^]]*\])?(,,?|\^\^?)",
    "${name,,}",
    "${name//,/_}",
  ),
  "${x@Q}": (r"\$\{\w+(\[[@*]\])?@[A-Za-z]\}", "${name@Q}", "${name[@]+x}"),
  "a negative index": (r"\[ *-\d+ *\]", "${names[-1]}", "${names[1]} $((-1))"),
  "a negative length": (r"\$\{\w+:[^}]*: *-\d", "${name:0:-1}", "${name:0:1}"),
  "[[ -v x ]]": (r"\[\[.* -v ", "[[ -v name ]]", '[[ -n "${name:-}" ]]'),
  "wait -n, -f, -p": (r"\bwait +-", "wait -n", 'wait "$pid"'),
  "read -i, -N, or -t of a part of a second": (
    r"\bread\b.* -([iN]|t *\d*\.)",
    "read -t 0.5 line",
    "IFS= read -r -t 1 line",
  ),
  "printf %(...)T": (r"printf.*%\(", "printf '%(%s)T'", "printf '%s'"),
  "variables of bash 4 and 5": (
    r"\$\{?(EPOCH|BASHPID|BASH_ARGV0|SRANDOM|PIPE_BUF)",
    "$EPOCHSECONDS",
    "$SECONDS",
  ),
  "options of bash 4": (
    r"shopt.*(globstar|lastpipe|inherit_errexit|autocd|dirspell)",
    "shopt -s globstar",
    "shopt -s nullglob",
  ),
  "{01..10}, {1..10..2}": (
    r"\{0\d+\.\.|\{\w+\.\.\w+\.\.",
    "{01..10}",
    "{1..9}",
  ),
  "{name}> for a descriptor": (r"\{\w+\}[<>]", "exec {f}> a", "${f}_a > b"),
  "a case with ) in $(...)": (
    r"\$\([^)]*\bcase\b[^)]* in [^()]*\)",
    "$(case a in b) c ;; esac)",
    "$(case a in (b) c ;; esac)",
  ),
  "an option in words, of a BSD tool": (
    rf"(^|[\s|;&(])({TOOLS}) ([^|;&\n]* )?--[a-z]",
    "tail --lines=1 f",
    "tail -n 1 f | run --lines=1",
  ),
  "a } of sed without ; before it": (
    r"\bsed\b[^|\n]*[^;{}\s]\}'",
    "sed -n '/a/{s/b/c/p}'",
    "sed -n '/a/{s/b/c/p;}'",
  ),
  "sed -u, -i, -r, -s, -z": (
    r"\bsed +-\w*[uirsz]",
    "sed -u s/a/b/",
    "sed -n p",
  ),
  "\\+, \\?, \\| and \\n in sed or grep": (
    r"\b(sed|grep) +(?!-E)[^|\n]*\\[+?|]",
    "sed 's/a\\+/b/'",
    "sed 's/a*/b/;s/^# \\{0,1\\}//'",
  ),
  "grep -P": (r"\bgrep +-\w*P", "grep -oP a", "grep -o a"),
  "other options that GNU alone has": (
    r"\b(readlink +-[fem]|date +-[dI]|stat +-c|cp +-\w*[tuTb]|mv +-t|xargs +-"
    r"\w*r|sort +-\w*[Vz]|head +-[nc] *-|base64 +-w|find +-|echo +-[ne]|ls "
    r"+--|du +-\w*b|tail +-\w*[sq]|ps +--)",
    "readlink -f a",
    "date -u; stat -f a; head -n 1; find . -name a",
  ),
  "a tool that macOS lacks": (
    r"(^|[|;&(]) *(timeout|nproc|flock|setsid|tac|realpath|sha\d+sum|md5sum|"
    r"numfmt|shuf|getent|stdbuf|ionice|free|ldd)\b",
    "a | sha256sum",
    "cksum < a; shasum; echo timeout",
  ),
}


def code(path):
  """Yields (number, line) of a script without its comments."""
  for number, line in enumerate(path.read_text().splitlines(), 1):
    yield number, re.sub(r"(^|\s)# .*", "", line)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_runs_on_bash_3_with_bsd_tools(path):
  found = [
    f"{path.name}:{number} has {name}: {line}"
    for number, line in code(path)
    for name, (pattern, _, _) in LACKING.items()
    if re.search(pattern, line)
  ]
  assert found == []


@pytest.mark.parametrize("name", LACKING)
def test_what_bash_3_or_bsd_lack_is_found(name):
  pattern, bad, good = LACKING[name]
  assert re.search(pattern, bad)
  assert not re.search(pattern, good)


def test_it_looks_at_every_script():
  kinds = {path.name for path in SCRIPTS}
  assert {"table.sh", "gpu.sh", "tpu_pod.sh", "slurm.sbatch", "run"} <= kinds
