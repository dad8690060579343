#!/bin/sh
# Turns the finished tree into an ext4 file. Arguments: root, file, size in MiB, kernel release.
set -eu
root=$1 file=$2 size_mib=$3 release=$4
chroot "$root" depmod "$release"
# No journal: a machine's disk does not outlive it, and what a crash tears there nobody reads. No reserved blocks.
# Half of the usual bytes per inode, for workspaces are made of small files.
mke2fs -q -F -t ext4 -b 4096 -i 8192 -m 0 -L rootfs -O ^has_journal,^metadata_csum_seed \
    -E lazy_itable_init=1,root_owner=0:0 -d "$root" "$file" "${size_mib}M"
chmod 0644 "$file"
rm -rf --one-file-system "$root"
