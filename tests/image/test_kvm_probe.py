import dataclasses
import json
import time

import pytest

from terraphim_runner.providers.qemu import kvm_probe
from terraphim_runner.providers.qemu.kvm_probe import BOOT_DEADLINE_S, KvmProbe, probe_kvm

pytestmark = pytest.mark.anyio


async def test_probe_without_the_device_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(kvm_probe, "_DEVICE", tmp_path / "kvm")
    probe = await probe_kvm(None)
    assert not probe.usable
    assert "does not exist" in probe.reason


async def test_probe_of_a_device_that_is_no_kvm_says_so(monkeypatch, tmp_path):
    (tmp_path / "kvm").write_text("")
    monkeypatch.setattr(kvm_probe, "_DEVICE", tmp_path / "kvm")
    probe = await probe_kvm(None)
    assert not probe.usable
    assert "does not answer" in probe.reason


@pytest.mark.vm
async def test_probe_of_the_real_host_ends_in_time_and_is_remembered(built_image, tmp_path):
    cache = tmp_path / "folder" / "probe.json"
    began = time.monotonic()
    probe = await probe_kvm(built_image, cache=cache)
    assert time.monotonic() - began < BOOT_DEADLINE_S + 5
    assert probe.reason
    if kvm_probe._device_trouble() is not None:
        pytest.skip(f"nothing to remember: {probe.reason}")
    assert json.loads(cache.read_text())["probe"] == dataclasses.asdict(probe)
    assert await probe_kvm(built_image, cache=cache) == probe


@pytest.mark.vm
async def test_probe_of_a_machine_that_hangs_is_ended(built_image, monkeypatch, tmp_path):
    qemu = tmp_path / "hangs"
    qemu.write_text("#!/bin/sh\necho booting\nexec sleep 1000\n")
    qemu.chmod(0o755)
    monkeypatch.setattr(kvm_probe, "QEMU", str(qemu))
    monkeypatch.setattr(kvm_probe, "BOOT_DEADLINE_S", 0.5)
    probe = await kvm_probe._boot(built_image)
    assert not probe.usable
    assert "ended after" in probe.reason
    assert "booting" in probe.reason


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"key": "k", "at": "x", "probe": {}}', "\0"])
def test_cache_that_is_damaged_counts_as_none(tmp_path, text):
    (tmp_path / "cache").write_text(text)
    assert kvm_probe._read_cache(tmp_path / "cache", "k") is None


def test_cache_of_another_host_or_an_old_failure_is_not_believed(tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    failure = KvmProbe(usable=False, reason="busy")
    kvm_probe._write_cache(cache, "k", failure)
    assert kvm_probe._read_cache(cache, "k") == failure
    assert kvm_probe._read_cache(cache, "another") is None
    monkeypatch.setattr(kvm_probe, "_FAILURE_KEPT_S", 0)
    assert kvm_probe._read_cache(cache, "k") is None


def test_cache_that_cannot_be_written_is_no_trouble(tmp_path):
    (tmp_path / "file").write_text("")
    kvm_probe._write_cache(tmp_path / "file" / "cache", "k", KvmProbe(usable=True, reason="booted"))
