"""The launch scripts: their form, and what they do where nothing is trained."""

import itertools
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import types

import pytest
import yaml
from jax._src.clusters.k8s_cluster import K8sCluster

from pattlite_jax.report.rows_best import BEST
from pattlite_jax.report.rows_heads import HEADS
from pattlite_jax.report.rows_methods import DATA, METHODS

ROOT = pathlib.Path(__file__).parent.parent
LAUNCH = ROOT / "launch"
OF_SCRIPTS = ("INSTALL", "EXTRAS")  # What launch/environment.sh reads.
SCRIPTS = sorted([*LAUNCH.glob("*.sh"), *LAUNCH.glob("*.sbatch")])
SOURCED = ("environment.sh",)
TRAINING = ("--config=configs/a.py", "--config.workdir=gs://b/run 1")

# A stand-in for gcloud: a TPU of one worker, whose home is $POD/home, and which
# is taken away when its log is followed for the first time.
GCLOUD = """set -euo pipefail
cd "$POD"
echo "$3 $4" >> calls
case "$3 $4" in
  "queued-resources create") mkdir home; echo ACTIVE > state ;;
  "queued-resources delete") rm -r home state ;;
  "queued-resources describe") cat state ;;
  "tpu-vm scp") cp "$5" home ;;
  "tpu-vm ssh")
    if [[ "$*" == *follow* && ! -e taken ]]; then
      echo SUSPENDED > state
      touch taken
    fi
    [[ "$(cat state)" == ACTIVE ]]
    for argument in "$@"; do
      case "$argument" in --command=*) command="${argument#*=}" ;; esac
    done
    cd home && bash -c "$command" ;;
esac
"""
# In place of launch/environment.sh: a python that does not train.
ENVIRONMENT = """
python() { echo "EXTRAS=${EXTRAS:-} python $*"; return "${EXIT_STATUS:-0}"; }
"""


def run(*command, **options):
  options = {"cwd": ROOT, "timeout": 60} | options
  return subprocess.run(
    [str(part) for part in command],
    capture_output=True,
    text=True,
    **options,
  )


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_parse_and_say_how_they_are_used(path):
  assert run("bash", "-n", path).returncode == 0
  if path.name not in SOURCED:
    assert "# Usage: " in path.read_text() or ". Usage: " in path.read_text()
    assert path.suffix == ".sbatch" or os.access(path, os.X_OK)


def test_shellcheck_finds_nothing():
  beside = pathlib.Path(sys.executable).parent / "shellcheck"
  program = beside if beside.exists() else shutil.which("shellcheck")
  if not program:
    pytest.skip("shellcheck is not installed")
  done = run(program, "--external-sources", *SCRIPTS, ROOT / ".ci/run")
  assert done.stdout == ""


@pytest.mark.parametrize(
  "extras, installed",
  [
    ("", ".[train]"),
    ("test", ".[train,test]"),
    ("tpu,gcs", ".[train,tpu,gcs]"),
  ],
)
def test_scripts_install_what_training_needs(
  repository, with_tools, tmp_path, extras, installed
):
  """With a `python` that says what it was asked to install."""
  shutil.copy(LAUNCH / "environment.sh", repository / "launch")
  (repository / "pyproject.toml").write_text("")
  fake = f'[[ "$1" == -c ]] && echo {tmp_path} || echo "$@"'
  env = with_tools({"python": fake}, EXTRAS=extras, VIRTUAL_ENV=str(tmp_path))
  command = ["bash", "-c", "source launch/environment.sh"]
  first, second = (run(*command, cwd=repository, env=env) for _ in range(2))
  assert first.returncode == second.returncode == 0, first.stderr
  assert first.stdout.splitlines()[1].endswith(f" --editable {installed}")
  assert second.stdout == ""  # Nothing has changed.


def local_processes(*arguments, **options):
  return run(LAUNCH / "local_processes.sh", *arguments, **options)


def test_local_processes_differ_in_their_number_alone():
  show = 'echo "$@"; echo oh >&2'
  done = local_processes(3, "--", "bash", "-c", show, "name", "a b")
  assert done.returncode == 0
  assert sorted(done.stderr.splitlines()) == ["[0] oh", "[1] oh", "[2] oh"]
  lines = sorted(done.stdout.splitlines())
  port = lines[0].split("localhost:")[1].split()[0]
  assert lines == [
    f"[{i}] a b --distributed --coordinator_address=localhost:{port} "
    f"--num_processes=3 --process_id={i}"
    for i in range(3)
  ]


def test_local_processes_fail_if_one_does():
  command = '[[ "$*" != *--process_id=1* ]] || exit 7'
  assert local_processes(2, "--", "bash", "-c", command, "x").returncode == 7


@pytest.mark.parametrize("wrong", [(), ("0", "--", "ls"), ("2", "ls")])
def test_local_processes_explain_themselves(wrong):
  done = local_processes(*wrong)
  assert done.returncode == 2
  assert "local_processes.sh N -- COMMAND" in done.stderr


def test_the_end_of_local_processes_ends_its_hosts(tmp_path):
  show = f"echo $$ >> {tmp_path}/pids; echo up; exec sleep 50"
  process = subprocess.Popen(
    [LAUNCH / "local_processes.sh", "2", "--", "bash", "-c", show, "x"],
    stdout=subprocess.PIPE,
    text=True,
  )
  assert {process.stdout.readline() for _ in range(2)} == {
    "[0] up\n",
    "[1] up\n",
  }
  process.send_signal(signal.SIGTERM)
  assert process.wait(timeout=20) != 0
  for pid in (tmp_path / "pids").read_text().split():
    with pytest.raises(ProcessLookupError):
      os.kill(int(pid), 0)


@pytest.fixture
def repository(tmp_path):
  """A repository with the scripts alone, where nothing is installed."""
  folder = tmp_path / "repository"
  shutil.copytree(LAUNCH, folder / "launch")
  (folder / "launch/environment.sh").write_text(ENVIRONMENT)
  git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c"]
  for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "Start"]):
    assert run(*git, *words, cwd=folder).returncode == 0
  return folder


@pytest.fixture
def with_tools(tmp_path):
  """Returns a maker of an environment where programs are what a dict says."""

  def make(tools, **variables):
    folder = tmp_path / "tools"
    folder.mkdir()
    for name, script in tools.items():
      (folder / name).write_text(f"#!/usr/bin/env bash\n{script}")
      (folder / name).chmod(0o755)
    path = f"{folder}:{os.environ['PATH']}"
    own = {k: v for k, v in os.environ.items() if k not in OF_SCRIPTS}
    return own | {"PATH": path} | variables

  return make


@pytest.fixture
def tpu_pod(repository, with_tools, tmp_path):
  """Runs tpu_pod.sh where a call of gcloud is an error."""
  forbidden = with_tools({"gcloud": f"touch {tmp_path}/called"})

  def call(*arguments):
    done = run(repository / "launch/tpu_pod.sh", *arguments, env=forbidden)
    assert not (tmp_path / "called").exists()
    return done

  return call


def test_a_dry_run_prints_every_command(tpu_pod):
  options = ["--zone=z", "--accelerator=v6e-16", "--spot", "--data=data/faces"]
  done = tpu_pod("pod", *options, "--dry-run", "--", *TRAINING)
  assert done.returncode == 0, done.stderr
  lines = [line.rstrip() for line in done.stdout.splitlines()]
  tpus = "gcloud compute tpus"
  assert lines[0].startswith(f"{tpus} queued-resources describe pod")
  assert lines[1] == (
    f"{tpus} queued-resources create pod --node-id=pod --accelerator-type="
    "v6e-16 --runtime-version=v2-alpha-tpuv6e --spot --zone=z"
  )
  assert lines[2].startswith(f"{tpus} tpu-vm scp /")
  assert lines[2].endswith("/pattlite_jax.bundle pod: --worker=all --zone=z")
  assert lines[3] == (
    f"{tpus} tpu-vm scp --recurse data/faces pod: --worker=all --zone=z"
  )
  assert lines[4].startswith(f"{tpus} tpu-vm ssh pod --worker=all --command=")
  for part in ("tpu_worker.sh", "--config=configs/a.py", "dir=../faces"):
    assert part in lines[4]
  assert [line.split("tpu_worker.sh")[1] for line in lines[5:]] == [
    "\\ follow --zone=z",
    "\\ status --zone=z",
  ]


@pytest.mark.parametrize(
  "accelerator, runtime",
  [
    ("v5litepod-16", "v2-alpha-tpuv5-lite"),
    ("v5p-16", "v2-alpha-tpuv5"),
    ("v4-16", "tpu-ubuntu2204-base"),
  ],
)
def test_the_runtime_follows_from_the_accelerator(
  tpu_pod, accelerator, runtime
):
  options = ["--zone=z", f"--accelerator={accelerator}", "--dry-run"]
  done = tpu_pod("pod", *options, "--", *TRAINING)
  assert f"--runtime-version={runtime} " in done.stdout


@pytest.mark.parametrize(
  "arguments, message",
  [
    (("pod", "--", *TRAINING), "Usage: launch/tpu_pod.sh NAME --zone=ZONE"),
    (("pod", "--zone=z", "--", "--config=a"), "--config.workdir=gs://"),
    (("pod", "--zone=z", "--config=a"), "unknown option --config=a"),
    (("a", "b", "--zone=z", "--", *TRAINING), "two names: a and b"),
  ],
)
def test_wrong_arguments_are_one_clear_line(tpu_pod, arguments, message):
  done = tpu_pod(*arguments)
  assert done.returncode == 2
  assert message in done.stderr
  assert done.stdout == ""


def test_a_check_compiles_before_anything_is_created(tpu_pod):
  options = ["--zone=z", "--accelerator=v6e-16", "--check"]
  command = "python -m pattlite_jax.compile --topology=v6e-16"
  done = tpu_pod("pod", *options, "--dry-run", "--", *TRAINING)
  assert done.returncode == 0, done.stderr
  first, second, *_ = done.stdout.splitlines()
  assert first.startswith(f"{command} {TRAINING[0]}")
  assert "queued-resources describe pod" in second


def test_a_failed_check_creates_nothing(repository, with_tools, tmp_path):
  done = run(
    repository / "launch/tpu_pod.sh",
    *("pod", "--zone=z", "--check", "--", *TRAINING),
    env=with_tools({"gcloud": f"touch {tmp_path}/called"}, EXIT_STATUS="1"),
  )
  assert done.returncode == 2
  assert "EXTRAS=tpu_check python -m pattlite_jax.compile" in done.stdout
  assert "do not fit v5litepod-16; nothing was created" in done.stderr
  assert not (tmp_path / "called").exists()


@pytest.mark.parametrize("status", [0, 3])
def test_a_run_starts_again_on_a_new_tpu(
  repository, with_tools, tmp_path, status
):
  done = run(
    repository / "launch/tpu_pod.sh",
    *("pod", "--zone=z", "--", *TRAINING),
    env=with_tools(
      {"gcloud": GCLOUD, "python3.12": ""},  # A worker would install Python.
      POD=str(tmp_path),
      POLL_SECONDS="0.1",
      EXIT_STATUS=str(status),
    ),
  )
  assert done.returncode == status, done.stderr
  calls = (tmp_path / "calls").read_text().splitlines()
  changes = [c.split()[1] for c in calls if c.startswith("queued-resources")]
  assert [c for c in changes if c != "describe"] == [
    *("create", "delete", "create")
  ]
  command = "EXTRAS=tpu,gcs python -m pattlite_jax.main --distributed"
  assert f"{command} {' '.join(TRAINING)}\n" in done.stdout
  assert f"The run ended with status {status}" in done.stdout
  assert "queued-resources delete pod --zone=z --force" in done.stdout


def test_a_worker_does_not_start_twice(repository, with_tools):
  (repository / "launch/environment.sh").write_text("python() { sleep 2; }")
  env = with_tools({"python3.12": ""})

  def worker(mode):
    return run(repository / "launch/tpu_worker.sh", mode, env=env).stdout

  assert worker("status") == worker("start") == ""
  assert worker("start") == "The run goes on.\n"
  assert worker("status") == worker("follow") == ""
  assert worker("status") == "0\n"


def test_a_table_passes_flags_on(repository):
  script = repository / "launch/table.sh"
  flags = ["--rows=a,b", "--dry-run", "--config.data.dir=a b", "--seed=2"]
  done = run(script, "best", *flags, cwd=repository.parent)
  assert done.returncode == 0, done.stderr
  assert done.stdout == (
    "EXTRAS= python -m pattlite_jax.report.run --table=best --rows=a,b "
    "--dry_run --seed=2 -- --config.data.dir=a b\n"
  )


@pytest.mark.parametrize("wrong", [(), ("--dry-run",)])
def test_a_table_wants_its_name(repository, wrong):
  done = run(repository / "launch/table.sh", *wrong)
  assert done.returncode == 2
  assert "launch/table.sh NAME" in done.stderr
  assert "--config.FIELD=VALUE" in done.stderr
  assert done.stdout == ""


@pytest.fixture
def with_bench_of_gpu(repository):
  (repository / "results").mkdir()
  (repository / "results/bench_gpu.json").write_text("{}")  # Measured before.


def rows_of_gpu(repository, *packed, env=None):
  """Returns (table, row, seed) of each training of gpu.sh, in order."""
  flag = "--config.batch_size=8"
  done = run(repository / "launch/gpu.sh", *packed, flag, env=env)
  found = []
  for command in done.stdout.splitlines():
    table, row, seed, given, dtype = re.fullmatch(
      "EXTRAS=cuda python -m pattlite_jax.report.run --table=(.+) --rows=(.+) "
      rf"--seed=(.) --scored_split=validation -- --config.data.packed=(\S+) "
      "--config.checkpoint_every_steps=0 --config.steps_per_dispatch=8 "
      rf"{flag}(.*)",
      command,
    ).groups()
    assert given == packed["ferplus" in row]
    # A row of "best" has its own.
    assert dtype == " --config.model.dtype=bfloat16" * (table == "methods")
    found.append((table, row, int(seed)))
  return found, done


def trainings_of_students():
  """Returns (table, row, seed) of each, and of their teachers."""
  rows = [r for r in BEST if r.name.endswith(("student_long", "student_wide"))]
  teachers = {
    pathlib.PurePath(path).name.rpartition("_seed")
    for row in rows
    for path in row.overrides["distillation.teachers"].split(",")
  }
  return {("best", row.name, seed) for row in rows for seed in row.seeds} | {
    ("best", name, int(seed)) for name, _, seed in teachers
  }


def test_a_gpu_runs_all_rows_that_have_data(repository, with_bench_of_gpu):
  found, done = rows_of_gpu(repository, "2013.npz", "plus.npz")
  assert done.returncode == 0, done.stderr
  assert len(found) == len(set(found))
  rows = [("methods", row) for row in METHODS if row.change in DATA]
  rows += [("heads", row) for row in HEADS]
  assert set(found) == trainings_of_students() | {
    (table, row.name, seed) for table, row in rows for seed in row.seeds
  }


def test_a_gpu_leaves_out_rows_without_data(repository, with_bench_of_gpu):
  found, done = rows_of_gpu(repository, "", "plus.npz")
  assert done.returncode == 0, done.stderr
  assert all("ferplus" in row for _, row, _ in found)
  best = [row for table, row, _ in found if table == "best"]
  students = [row for row in best if "student" in row]
  # Once all teachers have ended.
  assert students and best[-len(students) :] == students


def test_a_gpu_goes_on_after_a_row_that_failed(repository, with_bench_of_gpu):
  failing = {**os.environ, "EXIT_STATUS": "1", "WORKERS": "2"}
  found, done = rows_of_gpu(repository, "2013.npz", "", env=failing)
  assert done.returncode == 1
  rows = [row for _, row, _ in found]
  assert len(rows) == 4 + sum(
    len(row.seeds) for row in (*METHODS, *HEADS) if "FER2013" in row.change
  ) - sum(row.name == "baseline_detector" for row in METHODS)
  assert not any("student" in row for row in rows)  # They need their teachers.


def test_a_gpu_trains_no_more_rows_at_once_than_asked(
  repository, with_bench_of_gpu
):
  log = repository / "log"
  (repository / "launch/environment.sh").write_text(
    f"python() {{ echo start >> {log}; sleep 0.1; echo end >> {log}; }}"
  )
  env = {**os.environ, "WORKERS": "3"}
  done = run(repository / "launch/gpu.sh", "2013.npz", "", env=env)
  assert done.returncode == 0, done.stderr
  events = [1 if line == "start" else -1 for line in log.read_text().split()]
  running = list(itertools.accumulate(events))
  assert 3 <= max(running) <= 7 and running[-1] == 0  # 4 teachers beside 3.


def test_slurm_gives_each_gpu_a_task_and_passes_the_flags():
  text = (LAUNCH / "slurm.sbatch").read_text()
  options = dict(
    line.removeprefix("#SBATCH --").split("=")
    for line in text.splitlines()
    if line.startswith("#SBATCH --") and "=" in line
  )
  assert options["gpus-per-node"] == options["ntasks-per-node"]
  assert int(options["nodes"]) > 1
  # SBATCH lines count only before the first command.
  assert text.index("\nset -e") > text.rindex("#SBATCH")


def test_slurm_runs_the_command_on_every_task(repository, with_tools):
  batch = repository / "launch/slurm.sbatch"
  env = with_tools({"srun": 'echo srun "$@"'})
  here = {"SLURM_SUBMIT_DIR": str(repository)}
  done = run("bash", batch, *TRAINING, env=env | here)
  assert done.stdout == (
    "srun --kill-on-bad-exit=1 --label python -m pattlite_jax.main "
    f"--distributed {' '.join(TRAINING)}\n"
  )
  done = run("bash", batch, *TRAINING, env=env)
  assert done.returncode != 0
  assert "submit it with sbatch" in done.stderr


@pytest.fixture
def manifests():
  text = (LAUNCH / "kubernetes.yaml").read_text()
  return {m["kind"]: m for m in yaml.safe_load_all(text)}


def test_jax_finds_the_hosts_of_the_kubernetes_job(manifests, monkeypatch):
  """JAX's own detection, with the answers of an API server filled in."""
  job, spec = manifests["Job"], manifests["Job"]["spec"]

  def answer(**fields):
    return classmethod(lambda cls: types.SimpleNamespace(**fields))

  pod = types.SimpleNamespace(subdomain=spec["template"]["spec"]["subdomain"])
  metadata = types.SimpleNamespace(**job["metadata"])
  parallelism = types.SimpleNamespace(parallelism=spec["parallelism"])
  monkeypatch.setattr(K8sCluster, "_controller", answer(kind="Job"))
  monkeypatch.setattr(K8sCluster, "_pod", answer(spec=pod))
  monkeypatch.setattr(
    K8sCluster, "_job", answer(metadata=metadata, spec=parallelism)
  )
  assert (
    K8sCluster.get_coordinator_address(
      timeout_secs=None, override_coordinator_port=None
    )
    == "pattlite-jax-0.pattlite-jax:55527"
  )
  assert K8sCluster.get_process_count() == 2


def test_the_kubernetes_parts_belong_together(manifests):
  job, service = manifests["Job"]["spec"], manifests["Service"]
  pod = job["template"]["spec"]
  assert job["completionMode"] == "Indexed"
  assert job["completions"] == job["parallelism"]
  assert service["spec"]["clusterIP"] == "None"
  assert service["metadata"]["name"] == pod["subdomain"]
  name = manifests["Job"]["metadata"]["name"]
  assert service["spec"]["selector"] == {"job-name": name}
  account = manifests["ServiceAccount"]["metadata"]["name"]
  assert pod["serviceAccountName"] == account
  assert manifests["RoleBinding"]["subjects"][0]["name"] == account
  role = manifests["Role"]
  assert manifests["RoleBinding"]["roleRef"]["name"] == role["metadata"]["name"]
  allowed = {r for rule in role["rules"] for r in rule["resources"]}
  assert allowed == {"pods", "services", "jobs"}
  (container,) = pod["containers"]
  (script,) = container["args"]
  assert run("bash", "-n", "-c", script).returncode == 0
  assert "pattlite_jax.main --distributed" in script
