import json

import pytest
import typer
from typer.testing import CliRunner

from terraphim_runner.cli import doctor, doctor_checks, image
from terraphim_runner.cli.doctor_checks import State
from terraphim_runner.providers.qemu.cgroups import Cgroups
from terraphim_runner.providers.qemu.kvm_probe import KvmProbe
from terraphim_runner.providers.qemu.walls import Walls


@pytest.fixture
def app():
    app = typer.Typer()
    doctor.register(app)
    image.register(app)
    return app


@pytest.fixture
def run(app, monkeypatch, tmp_path):
    monkeypatch.setenv("TERRAPHIM_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("GITHUB_TOKEN", raising=False)
    monkeypatch.delenv("GITHUB_WEBHOOK_SECRET", raising=False)
    return lambda *arguments: CliRunner().invoke(app, arguments)


def test_doctor_without_an_image_exits_1_and_says_how_to_build_it(run):
    result = run("doctor")
    assert result.exit_code == 1
    assert "✗ image" in result.stdout
    assert "run: terraphim-runner image build" in result.stdout


def test_doctor_json_has_every_check_with_its_state(run):
    result = run("doctor", "--json")
    report = json.loads(result.stdout)
    assert report["usable"] is False
    names = [check["name"] for check in report["checks"]]
    assert names == [
        *("qemu", "kvm", "image", "image tools", "git", "firecracker", "disk", "memory", "cgroups", "walls"),
        *("github token", "webhook secret"),
    ]
    assert all(set(check) == {"name", "state", "found", "fix"} for check in report["checks"])


def test_doctor_never_shows_a_secret(run, monkeypatch):
    monkeypatch.setenv("GITHUB_TOKEN", "ghp_visible")
    monkeypatch.setenv("GITHUB_WEBHOOK_SECRET", "whsec_visible")
    for arguments in (("doctor",), ("doctor", "--json")):
        output = run(*arguments).output
        assert "visible" not in output
        assert "GITHUB_TOKEN is set" in output


@pytest.mark.vm
def test_doctor_with_an_image_exits_0(app, built_image, monkeypatch):
    monkeypatch.setenv("TERRAPHIM_DATA_DIR", str(built_image.directory.parents[2]))
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 0, result.stdout
    assert result.stdout.endswith("jobs can run here\n")


def test_doctor_without_programs_names_the_packages(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    for check, package in ((doctor_checks.check_qemu(), "qemu-system-x86"), (doctor_checks.check_git(), "git")):
        assert check.state is State.MISSING
        assert check.fix.endswith(package)


def test_doctor_firecracker_without_kvm_is_limited(monkeypatch, tmp_path):
    for name in ("firecracker", "jailer"):
        (tmp_path / name).write_text("#!/bin/sh\necho Firecracker v1.10.1\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    found = doctor_checks.check_firecracker(KvmProbe(usable=False, reason="x", fix="turn it on"))
    assert (found.state, found.found) == (State.LIMITED, "Firecracker v1.10.1, but it needs KVM")
    assert doctor_checks.check_firecracker(KvmProbe(usable=True, reason="x")).state is State.OK


@pytest.mark.parametrize(("kib", "state"), [(400_000, "missing"), (1_500_000, "limited"), (8_000_000, "ok")])
def test_doctor_memory_is_judged_by_what_is_available(tmp_path, kib, state):
    (tmp_path / "meminfo").write_text(f"MemTotal: 99999999 kB\nMemAvailable: {kib} kB\n")
    assert doctor_checks.check_memory(tmp_path / "meminfo").state == state


def test_doctor_disk_that_is_a_file_is_missing(tmp_path):
    (tmp_path / "file").write_text("")
    assert doctor_checks.check_disk(tmp_path / "file" / "data").state is State.MISSING


def walls(**missing):
    reasons = {name.replace("_", " "): reason for name, reason in missing.items()}
    groups = {name: reason for name, reason in reasons.items() if name in ("memory", "cpu", "pids")}
    return Walls(
        own_user=not reasons,
        unshare=("--net",),
        setpriv=("--no-new-privs",),
        cgroups=Cgroups(parents={}, is_unified=True, missing=groups),
        missing={(f"{name} control group" if name in groups else name): reason for name, reason in reasons.items()},
    )


def test_doctor_missing_walls_are_named_with_their_reasons():
    found = walls(own_user="only root can", memory="not writable")
    check = doctor_checks.check_walls(found)
    assert check.state is State.LIMITED
    assert "missing: own user (only root can); memory control group (not writable)" in check.found
    check = doctor_checks.check_cgroups(found)
    assert (check.state, check.found) == (State.LIMITED, "version 2, no memory limit: not writable")


def test_doctor_with_every_wall_is_content():
    assert doctor_checks.check_walls(walls()).state is State.OK
    assert doctor_checks.check_cgroups(walls()).found == "version 2, writable"


def test_image_list_without_images_shows_what_can_be_built(run):
    assert run("image", "list", "--json").stdout == "[]\n"
    assert "not built" in run("image", "list").stdout
