"""What can be chosen about the QEMU provider."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class QemuSettings(BaseModel):
    """Defaults are right for a machine without KVM as well as with it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    binary: str = "qemu-system-x86_64"
    accelerator: Literal["auto", "kvm", "tcg"] = "auto"
    """``auto`` takes KVM where a probe proves that it works."""
    warm_machines: int = Field(default=1, ge=0, le=64)
    """Paused machines that are kept ready for each kind of machine in use."""
    refill_after_s: float = Field(default=0.5, ge=0)
    """How long after a warm machine was taken its successor is made: the job's first command goes first."""
    max_machines: int = Field(default=64, ge=1, le=4096)
    """Most machines at a time, warm ones included."""
    boot_timeout_s: float = Field(default=20.0, gt=0)
    """For one boot from nothing; a boot that hangs is tried again."""
    boot_attempts: int = Field(default=4, ge=1, le=20)
    clone_timeout_s: float = Field(default=15.0, gt=0)
    ping_interval_s: float = Field(default=10.0, gt=0)
    ping_timeout_s: float = Field(default=30.0, gt=0)
    """A machine whose agent does not answer for so long is taken for dead."""
    uid_base: int = Field(default=0x7000_0000, ge=1000, le=0x7FFF_0000)
    """As root, each machine runs under a user id of its own, one of 65536 from here."""
    niceness: int = Field(default=5, ge=0, le=19)
