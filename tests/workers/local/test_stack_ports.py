"""A port that is taken: who has it, and the setting that moves ours."""

import os
import re
import socket
import threading
from pathlib import Path

import pytest

from engross.endpoints import stack_file
from engross.errors import PortTaken
from engross.settings import Settings, variable
from tests.workers.local.conftest import MakeSettings
from workers.local import ports, stack


@pytest.mark.parametrize(
    ("field", "service"),
    [("temporal_port", "Temporal"), ("ui_port", "Temporal's Web UI"), ("redis_port", "Valkey")],
)
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])  # noqa: S104  # the case in question
def test_the_error_names_service_port_owner_and_setting(
    settings: Settings, field: str, service: str, host: str
) -> None:
    port = getattr(settings, field)
    with socket.create_server((host, port)), pytest.raises(PortTaken) as caught:
        stack.up(settings, worker=False)

    message = str(caught.value)
    assert message.startswith(f"port {port} of {service} is taken by ")
    assert f"(pid {os.getpid()}, running in {Path.cwd()})" in message
    advice = re.search(rf"set {variable(field)}=(\d+)$", message)
    assert advice is not None
    assert ports.is_free(int(advice[1]))
    assert not stack_file(settings.home).exists()


def test_a_stack_of_another_folder_is_named(settings: Settings, make_settings: MakeSettings, tmp_path: Path) -> None:
    stack.up(settings, worker=False)
    other = make_settings(ENGROSS_HOME=str(tmp_path / "other"), ENGROSS_UI_PORT=str(settings.ui_port))

    with pytest.raises(PortTaken, match=rf"Web UI is taken by temporal \(pid \d+, running in {settings.home}\)"):
        stack.up(other, worker=False)

    assert stack.status(other) is None
    assert stack.status(settings) is not None


def test_two_services_on_one_port(settings: Settings, make_settings: MakeSettings) -> None:
    clash = make_settings(ENGROSS_TEMPORAL_PORT=str(settings.redis_port), ENGROSS_REDIS_PORT=str(settings.redis_port))

    with pytest.raises(
        PortTaken, match=rf"port {clash.redis_port} of Valkey is also the port of Temporal: set ENGROSS"
    ):
        stack.up(clash, worker=False)


def test_connections_of_the_last_server_that_linger_are_no_obstacle(settings: Settings) -> None:
    address = ("127.0.0.1", settings.redis_port)
    with socket.create_server(address) as server, socket.create_connection(address) as client:
        accepted, _ = server.accept()
        accepted.close()  # the side that closes first keeps the port in TIME_WAIT
        assert client.recv(1) == b""

    assert ports.is_free(settings.redis_port)


def test_a_port_that_is_about_to_close_is_waited_for(settings: Settings) -> None:
    server = socket.create_server(("127.0.0.1", settings.redis_port))
    closing = threading.Timer(0.1, server.close)
    closing.start()

    ports.require_free([ports.Port(settings.redis_port, "Valkey", "redis_port")])

    closing.join()
    assert ports.is_free(settings.redis_port)
