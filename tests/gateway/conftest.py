"""A resolver in a thread with a real upstream, for the tests that speak with it over one transport or another."""

import pytest

from tests.gateway.test_server import Running
from tests.nameserver import Nameserver


@pytest.fixture
def upstream():
    with Nameserver() as server:
        yield server


@pytest.fixture
def box(tmp_path, upstream):
    with Running(tmp_path, upstream.port) as running:
        yield running
