"""What stands in argv, the environment and files of secrets."""

import pytest

from terraphim_runner.cli.arguments import pairs, read_pairs_file, secret_pairs
from terraphim_runner.model.errors import UsageError


def test_pairs_file_keeps_values_and_drops_comments_quotes_and_export(tmp_path):
    file = tmp_path / "secrets"
    file.write_bytes(b'\xef\xbb\xbfA=1\n\n# c\nexport B="x = y"\r\nC={"k": "v"}\nD=\n')
    assert read_pairs_file(file) == {"A": "1", "B": "x = y", "C": '{"k": "v"}', "D": ""}


@pytest.mark.parametrize("content", [b"hush", b"A B=hush", b"hush\xff", b"A=" + b"hush" * 262_144])
def test_pairs_file_that_is_none_is_refused_without_its_text(tmp_path, content):
    file = tmp_path / "secrets"
    file.write_bytes(content)
    with pytest.raises(UsageError) as refused:
        read_pairs_file(file)
    assert "hush" not in str(refused.value)


def test_secret_by_name_comes_from_the_environment_and_a_wrong_one_is_not_shown():
    assert secret_pairs(["A", "B=x=y"], {"A": "1"})["A"].reveal() == "1"
    assert secret_pairs(["B=x=y"], {})["B"].reveal() == "x=y"
    for wrong in ("hu sh=1", "=hush"):
        with pytest.raises(UsageError) as refused:
            secret_pairs([wrong], {})
        assert "hu sh" not in str(refused.value)
        assert "hush" not in str(refused.value)


def test_pairs_split_at_the_first_separator():
    assert pairs(["os:a:b"], "--matrix", separator=":") == {"os": "a:b"}
    with pytest.raises(UsageError):
        pairs(["os=a"], "--matrix", separator=":")
