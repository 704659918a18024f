"""publisher.yaml: every mistake at once, in words; and what is written can be read."""

import pytest

from blocklists.publisher.errors import PublishError
from blocklists.publisher.settings import VALID_DAYS, Settings, parse_settings, settings_text
from blocklists.publisher.workspace import create_workspace, open_workspace


@pytest.mark.parametrize("name", ["Tỉnh Lào Cai", "a: b", "- x", "123", "no", "'"])
def test_what_is_written_can_be_read(name):
    settings = Settings(name=name, keep_days=3, valid_days={"root": 100})
    assert parse_settings(settings_text(settings), "publisher.yaml") == settings


def test_what_is_left_out_has_its_default():
    settings = parse_settings("name: x\nvalid_days: {timestamp: 1}\n", "publisher.yaml")
    assert settings.valid_days == {**VALID_DAYS, "timestamp": 1}
    assert settings.keep_days == 7


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "publisher.yaml: the file: "),
        ("[", "publisher.yaml: not YAML: "),
        ("name: ''", "publisher.yaml: name: "),
        ("name: x\nvalid_days: {rot: 3}", "publisher.yaml: valid_days: unknown role rot; there is: root"),
        ("name: x\nvalid_days: {root: 0}", "publisher.yaml: valid_days.root: "),
        ("name: x\nvalid_days: {root: 3651}", "publisher.yaml: valid_days.root: "),
        ("name: x\nkeep_dais: 3", 'publisher.yaml: keep_dais: unknown key, did you mean "keep_days"?'),
        ("name: x\nlists: {fold_row: 3}", 'publisher.yaml: lists.fold_row: unknown key, did you mean "fold_rows"?'),
    ],
)
def test_mistakes_are_told(text, words):
    with pytest.raises(PublishError) as caught:
        parse_settings(text, "publisher.yaml")
    assert words in str(caught.value)


def test_all_mistakes_at_once():
    with pytest.raises(PublishError) as caught:
        parse_settings("keep_days: x\nvalid_days: {root: 0}", "publisher.yaml")
    assert len(str(caught.value).splitlines()) == 3


def test_a_folder_that_is_none(tmp_path):
    with pytest.raises(PublishError, match=r"is not a publisher's folder: there is no publisher\.yaml in it"):
        open_workspace(tmp_path)


def test_a_new_folder_opens_and_keeps_private_keys_out_of_git(tmp_path):
    create_workspace(tmp_path, Settings(name="Tỉnh Thử"))
    assert open_workspace(tmp_path).settings.name == "Tỉnh Thử"
    assert "keys/*.pem" in (tmp_path / ".gitignore").read_text().splitlines()
    assert "* -text" in (tmp_path / ".gitattributes").read_text().splitlines()
