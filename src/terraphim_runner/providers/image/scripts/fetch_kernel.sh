#!/bin/sh
# Hook of mmdebstrap: fetches the kernel and busybox of the image's suite without installing them, which would
# build an initramfs of Debian's own. Arguments: kernel package, output directory (and the root, which it leaves alone).
set -eu
kernel=$1 out=$2
export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
mkdir -p "$out/debs" "$out/kernel" "$out/busybox"
cd "$out/debs"
# linux-image-cloud-amd64 is empty and depends on the package of one exact version.
exact=$(apt-cache depends --important "$kernel" | sed -n 's/^ *Depends: \(linux-image-.*\)$/\1/p' | head -n 1)
apt-get --quiet=2 download "${exact:-$kernel}" busybox-static
for deb in *.deb; do
    case "$deb" in
    busybox*) dpkg-deb --extract "$deb" "$out/busybox" ;;
    *) dpkg-deb --extract "$deb" "$out/kernel" ;;
    esac
done
for deb in *.deb; do
    dpkg-deb --show --showformat '${Package}\t${Version}\n' "$deb"
done >"$out/extra-packages"
