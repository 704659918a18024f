"""`manglanh check`: all errors at once, and what a right file comes to."""

import json
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, Root, Targets


def test_a_right_file_is_summed_up(type_in, school):
    result = type_in("check", "--json")
    found = json.loads(result.out)
    assert result.code == 0
    assert [(group["name"], group["tier"]) for group in found["groups"]] == [("6a1", "thcs"), ("giao-vien", "staff"), ("guest", "guest")]
    assert found["lists"]["starter"] is True
    assert found["lists"]["names"] > 1000


def test_the_text_names_every_group(type_in, school):
    text = type_in("check").out
    assert "no errors. Trường thử" in text
    assert "6a1              thcs       10.0.12.0/24" in text
    assert "everybody else" in text


def test_every_error_is_named_with_its_place_and_the_code_is_2(type_in, school):
    school.write_text(
        school.read_text(encoding="utf-8").replace("tier: thcs", "teir: thcs").replace("tier: staff", "tier: stuff"), encoding="utf-8"
    )
    result = type_in("check")
    assert result.code == 2
    lines = result.err.splitlines()
    assert any(line.startswith("school.yaml:6:") and "teir" in line and "tier" in line for line in lines)
    assert any(line.startswith("school.yaml:7:") and "stuff" in line for line in lines)


def test_a_damaged_bundle_is_said_and_the_code_is_1(type_in, school, tmp_path):
    bundle = tmp_path / "lists" / "0123"
    bundle.mkdir(parents=True)
    (bundle / "bundle.json").write_text("{")
    (tmp_path / "lists" / "current").symlink_to("0123")
    result = type_in("check")
    assert result.code == 1
    assert "The newest lists are refused" in result.out


def test_a_damaged_state_file_is_said(type_in, school, tmp_path):
    (tmp_path / "state.json").write_text("{")
    result = type_in("check")
    assert result.code == 1
    assert "state.json" in result.err


def test_a_state_that_names_what_is_gone_is_said(type_in, school):
    assert type_in("mode", "6a1", "study", "--for", "45m").code == 0
    school.write_text(school.read_text(encoding="utf-8").replace("name: 6a1", "name: 6a2"), encoding="utf-8")
    assert "6a1" in type_in("check").out.splitlines()[-1]


# ---- the files that the school file names ----

PROVINCE = "name: Tỉnh Hoa Sen\npublisher: {urls: [https://danh-sach.example/manglanh], root: root.json}\n"
SECRET = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


def add(school, before, after):
    school.write_text(school.read_text(encoding="utf-8").replace(before, after), encoding="utf-8")


def signed_root(signed_by_its_own_key=True) -> bytes:
    signers = [CryptoSigner(Ed25519PrivateKey.generate()) for _ in range(2)]
    root = Metadata(Root(expires=datetime(2020, 1, 1, tzinfo=UTC)))
    for role in root.signed.roles:
        root.signed.add_key(signers[0].public_key, role)
    root.sign(signers[0 if signed_by_its_own_key else 1])
    return root.to_bytes()


@pytest.fixture
def with_province(school, tmp_path):
    """The school names a province's file, with a publisher whose root has long expired: a box must start from it all the same."""
    add(school, "{name: Trường thử}", "{name: Trường thử, province: province.yaml}")
    (tmp_path / "province.yaml").write_text(PROVINCE, encoding="utf-8")
    (tmp_path / "root.json").write_bytes(signed_root())
    return tmp_path


def test_the_province_s_file_is_checked_and_named(type_in, with_province):
    result = type_in("check")
    assert result.code == 0
    assert "Province: Tỉnh Hoa Sen" in result.out
    assert "Signed lists come from https://danh-sach.example/manglanh" in result.out
    assert json.loads(type_in("check", "--json").out)["province"] == {
        "name": "Tỉnh Hoa Sen",
        "publisher": ["https://danh-sach.example/manglanh"],
    }


def test_a_school_without_a_province_has_none(type_in, school):
    assert json.loads(type_in("check", "--json").out)["province"] is None
    assert "Province" not in type_in("check").out


def test_an_error_in_the_province_s_file_has_its_place(type_in, with_province):
    (with_province / "province.yaml").write_text(PROVINCE + "reports: [{to: nobody, deadline: 11-31}]\n", encoding="utf-8")
    result = type_in("check")
    assert result.code == 2
    assert [line.partition(": ")[0] for line in result.err.splitlines()] == ["province.yaml:3:16", "province.yaml:3:34"]


def test_a_province_s_file_that_is_missing_is_said(type_in, with_province):
    (with_province / "province.yaml").unlink()
    result = type_in("check")
    assert result.code == 2
    assert "province.yaml:1:1: cannot be read" in result.err


@pytest.mark.parametrize(
    ("root", "expected"),
    [
        (None, "root.json cannot be read"),
        (b"<html>", "root.json: not the trusted root of a publisher"),
        (b"{}", "root.json: not the trusted root of a publisher"),
        (Metadata(Targets()).to_bytes(), "root.json: not the trusted root of a publisher"),
        (signed_root(signed_by_its_own_key=False), "root.json: not the trusted root of a publisher"),
    ],
)
def test_a_root_that_nothing_can_start_from_is_said(type_in, with_province, root, expected):
    if root is None:
        (with_province / "root.json").unlink()
    else:
        (with_province / "root.json").write_bytes(root)
    result = type_in("check")
    assert result.code == 2
    assert expected in result.err


@pytest.mark.parametrize(
    ("secret", "mode", "expected"),
    [
        (SECRET, 0o640, ""),
        (SECRET, 0o644, "everybody on this machine can read the secret"),
        ("mat khau", 0o600, "not Base64"),
        (None, 0, "zone.key cannot be read"),
    ],
)
def test_the_secret_of_the_zones_is_checked_and_never_shown(type_in, school, tmp_path, secret, mode, expected):
    file = tmp_path / "zone.key"
    if secret is not None:
        file.write_text(secret)
        file.chmod(mode)
    zones = f"zones: {{listen: ['127.0.0.1:5398'], key: {{name: a, secret_file: '{file}'}}, zones: [{{name: z, tier: thcs}}]}}\n"
    add(school, "groups:\n", zones + "groups:\n")
    result = type_in("check")
    assert result.code == (2 if expected else 0)
    assert expected in result.err
    assert secret is None or secret not in result.out + result.err


def test_a_relative_secret_is_looked_for_where_the_zone_server_finds_it(type_in, school, tmp_path, monkeypatch):
    """It was looked for in the folder in which the command was typed."""
    (school.parent / "zone.key").write_text(SECRET)
    (school.parent / "zone.key").chmod(0o600)
    add(
        school,
        "groups:\n",
        "zones: {listen: ['127.0.0.1:5398'], key: {name: a, secret_file: zone.key}, zones: [{name: z, tier: thcs}]}\ngroups:\n",
    )
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert type_in("check", "--config", school).code == 0
