"""What ends JAX without a word that helps is found out before."""

import socket
import threading
import time

import pytest

from pattlite_jax.runtime import coordinator
from pattlite_jax.runtime.errors import UserError


@pytest.fixture
def taken():
  """A port that another program listens at."""
  with socket.create_server(("localhost", 0)) as server:
    yield server.getsockname()[1]


def a_free_port():
  with socket.create_server(("localhost", 0)) as server:
    return server.getsockname()[1]


def test_a_taken_port_is_named(taken):
  with pytest.raises(UserError, match=f"Port {taken} .*another port") as caught:
    coordinator.check(f"localhost:{taken}", is_own=True)
  assert "\n" not in str(caught.value)


def test_a_free_port_is_left_free():
  port = a_free_port()
  for _ in range(2):
    coordinator.check(f"localhost:{port}", is_own=True)


@pytest.mark.parametrize(
  "address", ["localhost", "localhost:", ":80", "host0:0", "h:99999", "h:x"]
)
@pytest.mark.parametrize("is_own", [True, False])
def test_an_address_that_is_none_says_what_one_is(address, is_own):
  with pytest.raises(UserError, match="<name of host 0>:<any free port"):
    coordinator.check(address, is_own=is_own)


def test_a_host_waits_for_the_coordinator():
  port = a_free_port()

  def come_later():
    time.sleep(0.3)
    with socket.create_server(("localhost", port)) as server:
      server.accept()

  thread = threading.Thread(target=come_later)
  thread.start()
  coordinator.check(f"localhost:{port}", is_own=False, wait_seconds=60.0)
  thread.join()


def test_a_coordinator_that_does_not_come_is_named():
  port = a_free_port()
  with pytest.raises(UserError, match=f"localhost:{port} .*firewall"):
    coordinator.check(f"localhost:{port}", is_own=False, wait_seconds=0.0)
