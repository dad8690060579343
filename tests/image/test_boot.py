"""The built image in a real machine, with a stand-in for the agent that looks around."""

import io
import json
import subprocess
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest

from terraphim_runner.providers.image.initrd import FAILURE_PREFIX, PROBE_ARGUMENT, PROBE_LINE, agent_archive
from terraphim_runner.providers.qemu.kvm_probe import MACHINE, QEMU

pytestmark = pytest.mark.vm

# Without the TSC's frequency the kernel calibrates it against emulated timers, and sometimes waits for ever.
BOOT_ARGUMENTS = (
    "console=ttyS0 reboot=t panic=-1 quiet cryptomgr.notests audit=0 ipv6.disable=1 8250.nr_uarts=1 no_timer_check "
    "tsc=reliable"
)
ATTEMPTS = 3
TOOLS = "curl jq tar unzip xz make mount ps less sudo apt-get"
AGENT = """
import json, os, subprocess

def shell(script):
    environ = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    result = subprocess.run(["bash", "-c", script], env=environ, capture_output=True, text=True)
    return (result.stdout + result.stderr).strip()

facts = {
    "pid": os.getpid(),
    "whoami": shell("sudo -u runner id -un"),
    "ids": shell("id -u runner; id -g runner"),
    "root again": shell("sudo -u runner sudo -n id -u"),
    "home": shell("stat -c '%U %G %a' /home/runner /home/runner/work /tmp /usr/bin/sudo"),
    "hostname": shell("hostname; getent hosts localhost runner"),
    "machine id": shell("wc -c < /etc/machine-id"),
    "resolver": shell("wc -c < /etc/resolv.conf"),
    "python": shell("cd / && python -c 'import ssl, sqlite3, lzma, ctypes, json; print(json.dumps(1))'"),
    "git": shell("git config --system safe.directory; git config --system init.defaultBranch"),
    "modules": shell("modprobe overlay && grep -c ^overlay /proc/modules"),
    "writable": shell("sudo -u runner sh -c 'echo 1 > ~/work/x && cat ~/work/x'"),
    "tools": shell("for tool in TOOLS; do command -v $tool >/dev/null || echo no $tool; done"),
    "apt": shell("cat /etc/apt/apt.conf.d/* | grep -c Proxy"),
}
print("FACTS" + json.dumps(facts), flush=True)
open("/proc/sysrq-trigger", "w").write("b")
"""


def boot(image, initrd, *arguments):
    """Return the console of a machine that ran to its end."""
    command = [
        *(QEMU, "-M", MACHINE, "-accel", "tcg,tb-size=64", "-cpu", "max", "-m", "512"),
        *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio"),
        *("-kernel", str(image.kernel), "-initrd", str(initrd)),
        *("-append", " ".join((BOOT_ARGUMENTS, f"tsc_early_khz={host_khz()}", *arguments))),
        *("-drive", f"if=none,id=disk,file={image.rootfs},format=raw,snapshot=on"),
        *("-device", "virtio-blk-device,drive=disk"),
    ]
    for _ in range(ATTEMPTS - 1):
        with suppress(subprocess.TimeoutExpired):
            return run(command)
    return run(command)


def run(command):
    result = subprocess.run(command, capture_output=True, text=True, timeout=25, stdin=subprocess.DEVNULL)
    assert result.returncode == 0, result.stderr
    return result.stdout


def host_khz():
    (first, *_) = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("cpu MHz")]
    return round(float(first.split(":")[1]) * 1000)


@pytest.fixture
def initrd_with_agent(built_image, tmp_path):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipapp:
        zipapp.writestr("__main__.py", AGENT.replace("TOOLS", TOOLS))
    path = tmp_path / "initrd"
    path.write_bytes(built_image.initrd.read_bytes() + agent_archive(archive.getvalue()))
    return path


def test_machine_of_the_image_is_what_a_job_expects(built_image, initrd_with_agent):
    console = boot(built_image, initrd_with_agent)
    (line,) = [line for line in console.splitlines() if line.startswith("FACTS")]
    facts = json.loads(line.removeprefix("FACTS"))
    assert facts["pid"] == 1
    assert facts["whoami"] == "runner"
    assert facts["ids"] == "1001\n1001"
    assert facts["root again"] == "0"
    assert facts["home"] == "runner runner 755\nrunner runner 755\nroot root 1777\nroot root 4755"
    assert facts["hostname"].splitlines()[0] == "runner"
    assert facts["hostname"].count("127.0.0.1") == 1
    assert (facts["machine id"], facts["resolver"], facts["apt"]) == ("0", "0", "0")
    assert facts["python"] == "1"
    assert facts["git"] == "*\nmain"
    assert facts["modules"] == "1"
    assert facts["writable"] == "1"
    assert facts["tools"] == ""


def test_machine_without_an_agent_says_so_and_ends(built_image):
    console = boot(built_image, built_image.initrd)
    assert f"{FAILURE_PREFIX}copy the agent" in console


def test_machine_with_the_probe_argument_says_the_line_and_ends(built_image):
    assert PROBE_LINE in boot(built_image, built_image.initrd, PROBE_ARGUMENT)


def test_image_packages_and_kernel_are_recorded(built_image):
    versions = dict(built_image.packages)
    assert {"bash", "git", "python3", "busybox-static"} <= versions.keys()
    assert f"linux-image-{built_image.kernel_release}" in versions
    assert built_image.size_bytes < 600_000_000
