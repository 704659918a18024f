"""`manglanh check`: all errors at once, and what a right file comes to."""

import json


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
