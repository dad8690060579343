"""The images that machines boot from: definition → Debian tree → kernel, initramfs, root file system → store."""
