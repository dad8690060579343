import os
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terraphim_runner.model.errors import UsageError
from terraphim_runner.settings import Settings, VmProvider, load_settings

BASE = {"GITHUB_WEBHOOK_SECRET": "hush", "HOME": "/home/me"}


def _toml(folder: Path, text: str) -> Path:
    path = folder / "settings.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_settings_without_anything_else_have_the_documented_defaults() -> None:
    found = load_settings(BASE)
    assert (found.host, found.port, found.http_client_timeout_secs) == ("127.0.0.1", 3000, 30)
    assert found.github_api_url == "https://api.github.com"
    assert found.github_server_url == "https://github.com"
    assert found.ollama_model == "gemma3:4b"
    assert found.webhook_body_limit_bytes == 25 * 1024 * 1024
    assert found.terraphim_data_dir == Path("/home/me/.local/share/terraphim-runner")
    assert found.repositories_root == found.terraphim_data_dir / "repositories"
    assert found.database.reveal() == f"sqlite:///{found.terraphim_data_dir}/terraphim.sqlite"
    assert found.vm_provider is VmProvider.AUTO
    assert found.is_loopback


@pytest.mark.parametrize("secret", [None, ""])
def test_settings_without_a_webhook_secret_are_refused(secret: str | None) -> None:
    environ = {"HOME": "/h"} | ({} if secret is None else {"GITHUB_WEBHOOK_SECRET": secret})
    with pytest.raises(UsageError, match="GITHUB_WEBHOOK_SECRET is not set"):
        load_settings(environ)


def test_settings_with_an_empty_webhook_secret_in_a_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="GITHUB_WEBHOOK_SECRET is empty"):
        load_settings({"HOME": "/h"}, settings_file=_toml(tmp_path, 'github_webhook_secret = ""'))


def test_settings_come_from_toml_below_env_file_below_environment_below_arguments(tmp_path: Path) -> None:
    toml = _toml(tmp_path, 'port = 1\nhost = "127.0.0.2"\nrunner_name = "toml"\n[vm]\nimage = "toml"\n')
    env_file = tmp_path / "runner.env"
    env_file.write_text("# comment\n\nPORT=2\nHOST='127.0.0.3'\nRUNNER_NAME=\"env file\"\nVM_IMAGE=\n")
    environ = BASE | {"TERRAPHIM_ENV_FILE": str(env_file), "TERRAPHIM_SETTINGS": str(toml), "PORT": "3", "HOST": ""}
    found = load_settings(environ, overrides={"host": "127.0.0.4", "port": None})
    assert (found.port, found.host, found.runner_name, found.vm_image) == (3, "127.0.0.4", "env file", "toml")


@pytest.mark.parametrize(
    ("text", "wrong", "nearest"),
    [("prot = 1", "prot", "port"), ("[vm]\npool_sise = 1", "vm_pool_sise", "vm_pool_size"), ("x = 1", "x", "")],
)
def test_settings_file_with_an_unknown_key_names_the_nearest_known_one(
    tmp_path: Path, text: str, wrong: str, nearest: str
) -> None:
    with pytest.raises(UsageError) as caught:
        load_settings(BASE, settings_file=_toml(tmp_path, text))
    assert f"unknown setting '{wrong}'; the nearest known one is '{nearest}" in str(caught.value)


def test_env_file_with_an_unknown_key_names_the_nearest_known_one(tmp_path: Path) -> None:
    path = tmp_path / "runner.env"
    path.write_text("GITHUB_WEBHOOK_SECRT=hunter2\n")
    with pytest.raises(UsageError, match="'GITHUB_WEBHOOK_SECRT'; the nearest known one is 'GITHUB_WEBHOOK_SECRET'"):
        load_settings({"TERRAPHIM_ENV_FILE": str(path), "HOME": "/h"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "70000"),
        ("PORT", "x"),
        ("VM_PROVIDER", "docker"),
        ("GITHUB_API_URL", "https://me:hunter2@api"),
        ("HTTP_CLIENT_TIMEOUT_SECS", "0"),
        ("API_TOKEN", "hunter2\nx"),
        ("USE_LLM_PARSER", "hunter2"),
    ],
)
def test_settings_with_a_bad_value_name_the_variable_and_never_the_value(name: str, value: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_settings(BASE | {name: value})
    assert str(caught.value).startswith(name)
    assert "hunter2" not in str(caught.value)


def test_settings_with_several_bad_values_list_all(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load_settings(BASE | {"PORT": "x", "VM_VCPUS": "0"})
    assert len(str(caught.value).splitlines()) == 2


def test_settings_file_that_is_not_toml_is_told_without_its_content(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load_settings(BASE, settings_file=_toml(tmp_path, "api_token = hunter2"))
    assert "line 1" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_settings_file_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        load_settings(BASE, settings_file=tmp_path / "none.toml")


def test_settings_for_another_servers_machines_are_refused_by_name() -> None:
    with pytest.raises(UsageError, match="FIRECRACKER_API_URL"):
        load_settings(BASE | {"FIRECRACKER_API_URL": "http://x"})


def test_settings_for_language_models_are_taken_and_noticed_when_switched_on() -> None:
    models = {"OLLAMA_BASE_URL": "http://127.0.0.1:11434", "OPENROUTER_API_KEY": "k", "OPENROUTER_MODEL": "m"}
    quiet = load_settings(BASE | models)
    assert not any("USE_LLM_PARSER" in notice for notice in quiet.notices())
    loud = load_settings(BASE | models | {"USE_LLM_PARSER": "true"})
    assert any("USE_LLM_PARSER" in notice for notice in loud.notices())


def test_settings_say_once_what_a_missing_or_given_github_token_means() -> None:
    assert sum("nothing is posted to GitHub" in notice for notice in load_settings(BASE).notices()) == 1
    notices = load_settings(BASE | {"GITHUB_TOKEN": "hunter2"}).notices()
    assert sum("posting results to GitHub is not built in" in notice for notice in notices) == 1
    assert "hunter2" not in "".join(notices)


def test_settings_shown_hide_every_secret() -> None:
    names = ("GITHUB_WEBHOOK_SECRET", "GITHUB_TOKEN", "API_TOKEN", "OPENROUTER_API_KEY", "DATABASE_URL")
    found = load_settings(BASE | dict.fromkeys(names, "hunter2"))
    assert "hunter2" not in repr(found) + str(found)


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("x", False)],
)
def test_host_is_loopback_only_where_no_other_machine_reaches_it(host: str, is_loopback: bool) -> None:
    assert load_settings(BASE | {"HOST": host}).is_loopback is is_loopback


def test_every_promised_variable_is_a_setting() -> None:
    promised = (
        "GITHUB_WEBHOOK_SECRET PORT HOST GITHUB_TOKEN FIRECRACKER_API_URL FIRECRACKER_AUTH_TOKEN REPOSITORY_PATH "
        "USE_LLM_PARSER OLLAMA_BASE_URL OLLAMA_MODEL OPENROUTER_API_KEY OPENROUTER_MODEL MAX_CONCURRENT_WORKFLOWS "
        "HTTP_CLIENT_TIMEOUT_SECS TERRAPHIM_DATA_DIR DATABASE_URL GITHUB_API_URL GITHUB_SERVER_URL"
    )
    assert {name.lower() for name in promised.split()} <= set(Settings.model_fields)


@given(content=st.binary(max_size=200))
def test_env_file_of_any_bytes_is_read_or_refused_with_a_message(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("env") / "e"
    path.write_bytes(content)
    with suppress(UsageError):
        load_settings(BASE | {"TERRAPHIM_ENV_FILE": str(path)})


def test_settings_without_an_environment_read_the_processes_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("GITHUB_WEBHOOK_SECRET", "from the process")
    assert load_settings().github_webhook_secret.reveal() == "from the process"
    assert "GITHUB_WEBHOOK_SECRET" in os.environ


def test_runner_labels_are_a_list_or_words_with_commas(tmp_path: Path) -> None:
    assert load_settings(BASE | {"RUNNER_LABELS": "gpu, big ,"}).runner_labels == ("gpu", "big")
    assert load_settings(BASE, settings_file=_toml(tmp_path, '[runner]\nlabels = ["gpu"]')).runner_labels == ("gpu",)
