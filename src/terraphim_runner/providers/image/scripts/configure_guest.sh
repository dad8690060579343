#!/bin/sh
# Hook of mmdebstrap: makes a bare Debian tree what a job expects. Arguments: output directory, the root.
set -eu
out=$1 root=$2

chroot "$root" groupadd --gid 1001 runner
chroot "$root" useradd --uid 1001 --gid 1001 --create-home --shell /bin/bash runner
chmod 0755 "$root/home/runner"
chroot "$root" install -d -o runner -g runner -m 0755 /home/runner/work
printf 'runner ALL=(ALL:ALL) NOPASSWD: ALL\n' >"$root/etc/sudoers.d/runner"
chmod 0440 "$root/etc/sudoers.d/runner"

printf 'runner\n' >"$root/etc/hostname"
printf '127.0.0.1 localhost runner\n::1 localhost\n' >"$root/etc/hosts"
# No network: a resolver that does not exist would cost every lookup its timeout.
: >"$root/etc/resolv.conf"
# Every machine gets an identity of its own when it resumes.
: >"$root/etc/machine-id"
rm -f "$root/var/lib/dbus/machine-id"
printf 'LANG=C.UTF-8\n' >"$root/etc/default/locale"
printf 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nLANG=C.UTF-8\n' >"$root/etc/environment"
ln -sf python3 "$root/usr/bin/python"

if [ -x "$root/usr/bin/git" ]; then
    cat >"$root/etc/gitconfig" <<'GIT'
[safe]
	directory = *
[init]
	defaultBranch = main
[advice]
	detachedHead = false
GIT
fi

# What mmdebstrap was told about the host's proxies and caches has no business in the guest.
rm -f "$root/etc/apt/apt.conf.d/99mmdebstrap"
printf 'APT::Install-Recommends "false";\nAcquire::Languages "none";\n' >"$root/etc/apt/apt.conf.d/90runner"
rm -rf "$root/var/cache/debconf/"*-old "$root/var/log/"*.log "$root/var/log/apt" "$root/var/lib/dpkg/"*-old
chroot "$root" dpkg-query --show --showformat '${Package}\t${Version}\n' >"$out/packages"
