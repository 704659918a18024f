"""All real lists beside the checkout: every one is parsed, every usable one compiles, quickly and in little memory.

Where they are absent, a small made-up copy in the same shapes stands in.
"""

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from blocklists.compile import ListInput, compile_lists, read_path
from blocklists.parse import parse
from blocklists.rule import Problem
from filters.domain_index import DomainIndex
from tests.real_lists import BLOCKLISTPROJECT, BLOCKLISTPROJECT_UNUSED, SHARED_LISTS, UT1, UT1_UNUSED, sources

SAMPLE = {
    "ut1/gambling/domains": "casino.example\r\n.dots.example\n192.0.2.1\nBAD..name\nhộp.example \n",
    "ut1/gambling/urls": "www.facebook.com/casino\n",
    "ut1/phishing/urls": "shared.example/login\n",
    "blocklistproject/phishing-nl.txt": "# Title: x\n\nphish.example\n",
    "hostsvn/ads/dnsmasq-hostsVN.conf": "local=/ads.example/\n",
    "hostsvn/adult/filter.txt": "! Title\n||adult.example^\n@@||good.adult.example^\n",
    "hostsvn/threat/hosts": "0.0.0.0 threat.example\n",
}


@pytest.fixture(scope="module")
def lists(tmp_path_factory):
    if SHARED_LISTS.is_dir():
        return SHARED_LISTS
    folder = tmp_path_factory.mktemp("lists")
    for name, text in SAMPLE.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_every_folder_and_file_is_either_used_or_declined_with_a_reason(lists):
    folders = {path.name for path in (lists / "ut1").iterdir() if path.is_dir()}
    assert folders <= UT1.keys() | UT1_UNUSED.keys()
    assert not UT1.keys() & UT1_UNUSED.keys()
    files = {path.name.removesuffix("-nl.txt") for path in (lists / "blocklistproject").glob("*-nl.txt")}
    assert files <= BLOCKLISTPROJECT.keys() | BLOCKLISTPROJECT_UNUSED.keys()


def test_every_list_even_an_unused_one_is_understood(lists):
    """At most one line in five is beyond us, and those are mostly addresses in UT1's older folders."""
    folders = [("ut1", path) for path in sorted((lists / "ut1").iterdir()) if path.is_dir() and any(path.iterdir())]
    files = [("domains", path) for path in sorted((lists / "blocklistproject").glob("*-nl.txt"))]
    for list_format, path in [*folders, *files]:
        found = [item for _, numbered in parse(list_format, read_path(path, list_format)) for _, item in numbered]
        odd = {item.reason.partition(":")[0] for item in found if isinstance(item, Problem)}
        assert odd <= {"an address, not a name", "empty label", "label starts or ends with a hyphen", "character not allowed in a name"}, (
            path
        )


def test_they_compile_into_one_bundle(lists, tmp_path):
    inputs = [ListInput(source, partial(read_path, source.path, source.format)) for source in sources(lists)]
    report = compile_lists(tmp_path, inputs)
    index = DomainIndex.open(tmp_path)
    assert index.names == report.names
    for source in report.sources:
        counted = (
            source.accepted + source.duplicates + source.subsumed + source.lifted + source.exceptions + source.for_proxy + source.rejected
        )
        assert source.read == counted, source.name
    for source in sources(lists):
        if source.format == "domains":
            names = [
                line.strip() for line in source.path.read_text(errors="replace").splitlines() if line.strip() and not line.startswith("#")
            ]
            rejected = {line.text for one in report.sources if one.name == source.name for line in one.lines}
            for name in {*names[:50], *names[-50:]} - rejected:
                assert source.name in {match.source.name for match in index.lookup(name.lower())}, (source.name, name)


def test_compiling_stays_within_the_memory_of_a_small_box(lists, tmp_path):
    """On a 512 MB box the resolver goes on beside it: a peak of 300 MB is the bound, and 1.2 million lines take half of it."""
    program = (
        "import json, re, sys\n"
        "from functools import partial\n"
        "from pathlib import Path\n"
        "from blocklists.compile import ListInput, compile_lists, read_path\n"
        "from tests.real_lists import sources\n"
        "inputs = [ListInput(one, partial(read_path, one.path, one.format)) for one in sources(Path(sys.argv[1]))]\n"
        "report = compile_lists(Path(sys.argv[2]), inputs)\n"
        # not getrusage(): its peak begins with that of the process that started this one
        "peak = re.search(r'VmHWM:\\s*(\\d+) kB', Path('/proc/self/status').read_text())\n"
        "print(json.dumps([report.names, int(peak[1])]))\n"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", program, lists, tmp_path / "out"], cwd=root, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    names, peak = json.loads(done.stdout)
    assert names > 25
    assert peak < 300 * 1024
