"""The example for nginx: it is accepted, serves what a school asks for and nothing else, and says how long each file may be kept."""

import getpass
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.bench import processes
from tests.blocklists.publisher.signed_province import released_province
from tests.documents import GUIDES, ROOT
from tests.end_to_end.waiting import eventually

EXAMPLE = ROOT / "deploy" / "nginx" / "manglanh-lists.conf"
AROUND = """
daemon off;
user {user};
worker_processes 1;
pid {folder}/nginx.pid;
events {{ worker_connections 64; }}
http {{
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  include {folder}/manglanh-lists.conf;
}}
"""
FOR_EVER = "public, max-age=31536000, immutable"
SHORT = "public, max-age=5"

pytestmark = pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")


def adapted(root: Path, folder: Path, port: int) -> str:
    """The example with what its head says that everybody puts in: port, folder and log."""
    text, listeners = re.subn(r"listen (\[::\]:)?80;", "", EXAMPLE.read_text("utf-8"))
    text, roots = re.subn(r"root \S+;", f"listen 127.0.0.1:{port}; root {root};", text)
    text, logs = re.subn(r"/var/log/nginx/\S+", f"{folder}/access.log", text)
    assert (listeners, roots, logs) == (2, 1, 1)
    return text


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[tuple[httpx.Client, Path, Path]]:
    """A client of a running nginx, the folder that it serves, and its log."""
    folder = tmp_path_factory.mktemp("nginx")
    made = released_province(folder / "publisher")
    made.publish(b"name\n" * 500)
    port = processes.free_port()
    (folder / "manglanh-lists.conf").write_text(adapted(folder / "publisher" / "repository", folder, port), "utf-8")
    configuration = folder / "nginx.conf"
    configuration.write_text(AROUND.format(user=getpass.getuser(), folder=folder), "utf-8")
    command = ["nginx", "-p", folder, "-e", folder / "error.log", "-c", configuration]
    with (
        processes.running(command, port=port, log=folder / "output.log", core=None) as running,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
    ):
        eventually(lambda: _answers(client) or running.process.poll() is not None, "nginx answers")
        assert running.process.poll() is None, (folder / "error.log").read_text("utf-8")
        yield client, folder / "publisher" / "repository", folder / "access.log"


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/").status_code == httpx.codes.NOT_FOUND
    except httpx.TransportError:
        return False


def test_every_file_of_a_release_is_served_and_only_the_timestamp_may_change(served):
    client, repository, _ = served
    files = [path for path in repository.rglob("*") if path.is_file()]
    assert len(files) > 6
    for path in files:
        answer = client.get(f"/{path.relative_to(repository)}")
        assert answer.content == path.read_bytes()
        assert answer.headers["ETag"]
        assert answer.headers["Cache-Control"] == (SHORT if path.name == "timestamp.json" else FOR_EVER)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Type"].partition(";")[0] == {".json": "application/json", ".csv": "text/csv"}[path.suffix]


def test_asking_again_costs_no_content_and_no_line_of_the_log(served):
    client, _, log = served
    first = client.get("/metadata/timestamp.json")
    before = log.read_text("utf-8").count("timestamp.json")
    again = client.get("/metadata/timestamp.json", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["Cache-Control"] == SHORT
    client.get("/metadata/1.root.json")
    assert "1.root.json" in eventually(lambda: _with(log, "1.root.json"), "the log is written")
    assert log.read_text("utf-8").count("timestamp.json") == before


def _with(log: Path, text: str) -> str:
    found = log.read_text("utf-8")
    return found if text in found else ""


@pytest.mark.parametrize("suffix", [".json", ".csv"])
def test_text_is_compressed_for_whoever_asks_and_can_be_fetched_in_parts_by_whoever_does_not(served, suffix):
    client, repository, _ = served
    path = max((path for path in repository.rglob(f"*{suffix}")), key=lambda path: path.stat().st_size)
    url = f"/{path.relative_to(repository)}"
    packed = client.get(url, headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.headers["Vary"] == "Accept-Encoding"
    part = client.get(url, headers={"Accept-Encoding": "identity", "Range": "bytes=100-"})
    assert (part.status_code, part.content) == (206, path.read_bytes()[100:])
    assert part.headers["Cache-Control"] == FOR_EVER


@pytest.mark.parametrize(
    "url",
    [
        "/",
        "/metadata/",
        "/metadata/9.root.json",
        "/metadata/.new-timestamp.json",
        "/targets/mandatory/list.csv",
        "/publisher.yaml",
        "/../publisher.yaml",
        "/metadata/..%2f..%2fkeys/online.pem",
    ],
)
def test_nothing_else_is_served_and_that_it_is_absent_is_soon_forgotten(served, url):
    client, repository, _ = served
    (repository / "metadata" / ".new-timestamp.json").write_bytes(b"half")
    answer = client.get(url)
    assert answer.status_code in {400, 404}
    assert answer.headers.get("Cache-Control", SHORT) == SHORT


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nothing_can_be_sent(served, method):
    client, repository, _ = served
    assert client.request(method, "/metadata/timestamp.json", content=b"x").status_code == 405
    assert client.request(method, "/metadata/1.root.json", content=b"x" * 2000).status_code in {405, 413}
    assert (repository / "metadata" / "1.root.json").stat().st_size > 2000


def test_the_guide_names_it_and_it_serves_the_folder_of_the_unit():
    text = EXAMPLE.read_text("utf-8")
    unit = (ROOT / "deploy" / "systemd" / "manglanh-publish-refresh.service").read_text("utf-8")
    (root,) = re.findall(r"^ +root (\S+)/repository;$", text, re.MULTILINE)
    assert f"--folder {root} " in unit
    for language in ("vi", "en"):
        assert "deploy/nginx/manglanh-lists.conf" in (GUIDES / f"publishing.{language}.md").read_text("utf-8")
