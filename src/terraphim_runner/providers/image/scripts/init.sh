#!/bin/busybox sh
# PID 1 of every machine until the agent takes over. Any failure says one line and ends the machine:
# the host runs it with -no-reboot, so a reboot is a power-off that needs no ACPI.

fail() {
    echo "terraphim-init: failed: $1" >/dev/console
    /bin/busybox reboot -f
    # The reboot is on its way; PID 1 must not end before it, or the kernel panics instead.
    while :; do /bin/busybox sleep 1; done
}

bb=/bin/busybox
$bb mkdir -p /proc /sys /dev /newroot || fail "make the mount points"
$bb mount -t proc proc /proc || fail "mount /proc"

case " $($bb cat /proc/cmdline) " in
*" terraphim.probe "*)
    echo "terraphim-init: probe ok" >/dev/console
    $bb reboot -f
    while :; do $bb sleep 1; done
    ;;
esac

$bb mount -t sysfs sysfs /sys || fail "mount /sys"
$bb mount -t devtmpfs devtmpfs /dev || fail "mount /dev"
while read -r module; do
    $bb insmod "/modules/$module" || fail "load $module"
done </modules/order

# The probe of a virtio-mmio device is asynchronous under ACPI: give the disk up to 5 s.
tries=0
until [ -b /dev/vda ]; do
    [ "$tries" -lt 250 ] || fail "find the disk /dev/vda"
    tries=$((tries + 1))
    $bb usleep 20000
done
$bb mount -t ext4 -o rw,noatime /dev/vda /newroot || fail "mount /dev/vda"

$bb mount -t tmpfs -o mode=0755,nosuid,nodev tmpfs /newroot/run || fail "mount /run"
$bb mkdir -p /newroot/run/terraphim || fail "make /run/terraphim"
$bb cp /agent.pyz /newroot/run/terraphim/agent.pyz || fail "copy the agent: the initrd has no /agent.pyz appended"
for directory in proc sys dev; do
    $bb mount -o move "/$directory" "/newroot/$directory" || fail "move /$directory"
done
$bb hostname runner
exec $bb switch_root -c /dev/console /newroot /usr/bin/python3 -I -S /run/terraphim/agent.pyz
fail "start the agent"
