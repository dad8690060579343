import os
import re
from pathlib import Path

import pytest

from terraphim_runner.model.errors import InfrastructureError
from terraphim_runner.providers.image import requirements
from terraphim_runner.providers.image.requirements import (
    has_subordinate_ids,
    missing_requirements,
    require_host,
    require_space,
)

PACKAGES = Path(__file__).parents[2] / "packaging" / "debian-packages.txt"
ESSENTIAL = {"apt", "dpkg", "util-linux"}


def listed_packages():
    return [line.split("#", 1)[0].strip() for line in PACKAGES.read_text().splitlines()]


def test_package_list_has_a_reason_for_every_package_and_is_sorted():
    for line in PACKAGES.read_text().splitlines():
        assert re.fullmatch(r"[a-z0-9][a-z0-9+.-]+ +# \S.*", line), line
    assert listed_packages() == sorted(set(listed_packages()))


def test_package_list_covers_what_a_build_asks_for():
    needed = {*requirements._programs(1000).values(), requirements.KEYRING.stem.replace(".gpg", "")}
    assert needed - ESSENTIAL <= set(listed_packages())


def test_missing_programs_are_told_at_once_with_the_command(monkeypatch):
    monkeypatch.setattr(requirements, "SYSTEM_PATH", "/nowhere")
    with pytest.raises(InfrastructureError) as caught:
        require_host(0)
    assert "mmdebstrap" in caught.value.reason
    assert "mke2fs" in caught.value.reason
    assert "apt-get install --no-install-recommends" in caught.value.fix
    assert "e2fsprogs" in caught.value.fix


def test_missing_subordinate_ids_name_the_user_and_the_command(monkeypatch, tmp_path):
    monkeypatch.setattr(requirements, "has_subordinate_ids", lambda uid: False)
    (missing,) = [item for item in missing_requirements(54321) if "subordinate" in item.what]
    assert "'54321'" in missing.what
    assert "usermod --add-subuids" in missing.fix


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("54321:100000:65536\n", True),
        ("other:100000:65536\n", False),
        ("54321:100000:1000\n", False),
        ("# 54321\n54321\n54321:x:y\n", False),
        ("", False),
    ],
)
def test_subordinate_ids_are_read_from_the_file(tmp_path, text, expected):
    (tmp_path / "subuid").write_text(text)
    assert has_subordinate_ids(54321, tmp_path / "subuid") is expected


def test_subordinate_ids_without_a_file_are_none(tmp_path):
    assert not has_subordinate_ids(os.getuid(), tmp_path / "none")


def test_full_disk_is_told_with_both_sizes(monkeypatch, tmp_path):
    require_space(tmp_path)
    monkeypatch.setattr(requirements, "REQUIRED_FREE_BYTES", 1 << 60)
    with pytest.raises(InfrastructureError, match=r"GB free, 11529215\d\d\.\d GB are needed.*TERRAPHIM_DATA_DIR"):
        require_space(tmp_path)
