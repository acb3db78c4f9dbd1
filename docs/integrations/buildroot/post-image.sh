#!/bin/sh
# Packs kernel, device tree and root filesystem of a Buildroot build into one stoop image, $BINARIES_DIR/stoop.bin.
#
# Buildroot calls it as BR2_ROOTFS_POST_IMAGE_SCRIPT with the images' folder, then the words of BR2_ROOTFS_POST_SCRIPT_ARGS:
# the board, and more words for `stoop pack`. STOOP names the command if it is not on the PATH.
set -eu

fail() {
    echo "post-image.sh: $1" >&2
    exit 1
}

# The only file of that pattern; nothing when there is none.
only() {
    found=
    for file in "$@"; do
        [ -f "$file" ] || continue
        [ -z "$found" ] || fail "$found and $file: set BR2_ROOTFS_POST_SCRIPT_ARGS so that it names one"
        found=$file
    done
    echo "$found"
}

images=$1
board=${2:-}
[ -n "$board" ] || fail "no board: set BR2_ROOTFS_POST_SCRIPT_ARGS=\"gl-ar750\" (stoop boards list)"
shift 2

kernel=$images/vmlinux
[ -f "$kernel" ] || kernel=$images/Image
[ -f "$kernel" ] || fail "no kernel in $images: set BR2_LINUX_KERNEL_VMLINUX=y (MIPS) or BR2_LINUX_KERNEL_IMAGE=y (arm64)"
config=$(only "$BUILD_DIR"/linux-*/.config)
dtb=
case " $* " in
*" --dtb "* | *" --dtb="*) ;;
*) dtb=$(only "$images"/*.dtb) ;;
esac
rootfs=$images/rootfs.squashfs
initrd=$images/rootfs.cpio.gz

set -- "$@" --board "$board" --kernel "$kernel"
[ -z "$config" ] || set -- "$@" --config "$config"
[ -z "$dtb" ] || set -- "$@" --dtb "$dtb"
if [ -f "$rootfs" ]; then
    set -- "$@" --rootfs "$rootfs"
elif [ -f "$initrd" ]; then
    set -- "$@" --initrd "$initrd"
fi
"${STOOP:-stoop}" pack "$@" -o "$images/stoop.bin"
