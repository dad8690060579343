import pytest

from terraphim_runner.model.errors import UsageError
from terraphim_runner.providers.image.builder import inputs_digest
from terraphim_runner.providers.image.definition import definition_names, load_definition, parse_definition

MINIMAL = 'name = "small"\nsuite = "bookworm"\npackages = ["bash"]\n'


@pytest.mark.parametrize("name", definition_names())
def test_definition_shipped_is_valid(name):
    assert load_definition(name).name == name


def test_definition_default_has_what_jobs_and_the_agent_need():
    assert {"bash", "python3", "git", "sudo", "ca-certificates"} <= set(load_definition("default").packages)


def test_definition_unknown_key_names_the_nearest_one():
    with pytest.raises(UsageError, match=r"small\.toml: unknown key 'pakages'; did you mean 'packages'\?"):
        parse_definition(MINIMAL + 'pakages = ["git"]\n', "small.toml")


def test_definition_several_mistakes_are_told_at_once():
    with pytest.raises(UsageError) as caught:
        parse_definition('name = "Bad Name"\npackages = "bash"\nsize_mib = 1\n', "x.toml")
    message = str(caught.value)
    assert len(message.splitlines()) == 4
    assert "x.toml: the key 'suite' is missing" in message
    assert "size_mib: found 1" in message


@pytest.mark.parametrize("package", ["--help", "a b", "x;reboot", "", "a,b", "$(id)"])
def test_definition_package_that_is_no_name_is_refused(package):
    with pytest.raises(UsageError, match=r"packages\.0"):
        parse_definition(f'name = "small"\nsuite = "bookworm"\npackages = ["{package}"]\n', "x.toml")


def test_definition_not_toml_says_where():
    with pytest.raises(UsageError, match=r"x\.toml: not TOML: .*line 1"):
        parse_definition("name = @", "x.toml")


def test_definition_unknown_name_suggests_the_nearest():
    with pytest.raises(UsageError, match=r"'defalt'; did you mean 'default'\?"):
        load_definition("defalt")


@pytest.mark.parametrize("name", ["../default", "/etc/passwd", ""])
def test_definition_name_that_is_a_path_is_refused(name):
    with pytest.raises(UsageError, match="no image definition"):
        load_definition(name)


def test_definition_whose_name_is_not_its_files_is_refused(tmp_path):
    (tmp_path / "other.toml").write_text(MINIMAL)
    with pytest.raises(UsageError, match="found name = 'small', expected 'other'"):
        load_definition("other", tmp_path)


def test_with_suite_that_is_an_option_is_refused():
    with pytest.raises(UsageError, match="not the name of a Debian suite"):
        load_definition("default").with_suite("--mode=fakechroot")


def test_inputs_digest_changes_with_the_definition_only():
    definition = parse_definition(MINIMAL, "x.toml")
    assert inputs_digest(definition) == inputs_digest(parse_definition(MINIMAL, "y.toml"))
    assert inputs_digest(definition) != inputs_digest(definition.with_suite("trixie"))
