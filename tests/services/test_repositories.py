from pathlib import Path

import pytest

from terraphim_runner.model.errors import UsageError
from terraphim_runner.model.secret import Secret
from terraphim_runner.services.repositories import read_repositories


def _file(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "repositories.toml"
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def test_values_of_a_repository_are_found_whatever_the_case_of_its_name(tmp_path: Path) -> None:
    text = '[repositories."Acme/App".secrets]\nTOKEN = "t"\n[repositories."Acme/App".variables]\nREGION = "eu"\n'
    found = read_repositories(_file(tmp_path, text)).of("acme/APP")
    assert found.secrets == {"TOKEN": Secret("t")}
    assert found.variables == {"REGION": "eu"}
    assert "'t'" not in repr(found)


def test_values_of_an_environment_are_found_whatever_the_case_of_its_name(tmp_path: Path) -> None:
    text = (
        '[repositories."a/b".environments.Production]\nsecrets = {T = "t"}\nvariables = {R = "r"}\n'
        '[repositories."a/b".environments."pages/preview 1"]\n'
    )
    found = read_repositories(_file(tmp_path, text)).of("a/b")
    production = found.environment("PRODUCTION")
    assert production is not None
    assert (production.secrets, production.variables) == ({"T": Secret("t")}, {"R": "r"})
    assert found.environment("pages/preview 1") is not None
    assert found.environment("staging") is None
    assert found.secrets == {}


def test_repository_that_is_not_in_the_file_has_no_values(tmp_path: Path) -> None:
    found = read_repositories(_file(tmp_path, "")).of("a/b")
    assert (found.secrets, found.variables) == ({}, {})


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(UsageError, match="chmod 600"):
        read_repositories(_file(tmp_path, "", mode))


def test_file_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_repositories(tmp_path / "none")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = hunter2", "is not TOML"),
        ("x = 1", "found 'x'"),
        ("repositories = 1", "expected a table"),
        ("[repositories.name]", "expected 'owner/name'"),
        ('[repositories."a/b"]\nsecret = {}', "expected secrets, variables or environments"),
        ('[repositories."a/b".environments.x]\nsecret = {}', "'a/b x', expected secrets or variables"),
        ('[repositories."a/b"]\nenvironments = ["x"]', "a/b environments is a list, expected a table"),
        ('[repositories."a/b".environments.x.secrets]\nA = 1', "a/b x secrets is a int, expected text"),
        ('[repositories."a/b".secrets]\nA = 1', "expected text in quotes"),
        ('[repositories."a/b".secrets]\nGITHUB_X = "hunter2"', "GITHUB_"),
        ('[repositories."a/b".secrets]\n"A B" = "hunter2"', "A B"),
    ],
)
def test_file_with_a_mistake_is_refused_without_its_values(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        read_repositories(_file(tmp_path, text))
    assert "hunter2" not in str(caught.value)
