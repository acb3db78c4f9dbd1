#!/bin/sh
# For `git bisect run` in a kernel tree: builds the kernel, packs it and boots it in QEMU.
#
#   git bisect start BAD GOOD
#   BOARD=qemu-malta-be UNTIL='login:' git bisect run /path/to/bisect.sh --rootfs /path/to/root.squashfs
#
# Arguments are more words for `stoop pack`. Variables, with what holds without them:
#   BOARD    a board that QEMU plays (stoop boards list)
#   UNTIL    what the console shows when the kernel is good, a regular expression
#   BUILD    how to build: make -j$(nproc) vmlinux
#   KERNEL   what comes out: vmlinux
#   ARGS     the bootloader's arguments: none
#   TIMEOUT  seconds: 300
#   VIA      uboot or direct: uboot
#
# Good: 0. Bad: 1, it does not boot, or pack's check refuses the kernel. Skipped: 125, it does not build. 128 ends the search: the fault is not the kernel's.
set -u
: "${BOARD:?names no board}" "${UNTIL:?says nothing to wait for}"

image=$(mktemp)
trap 'rm -f "$image"' EXIT

sh -c "${BUILD:-make -j$(nproc) vmlinux}" || exit 125

# 1: the kernel cannot boot there; 2: the command line of this script is wrong.
stoop pack --board "$BOARD" --kernel "${KERNEL:-vmlinux}" "$@" -o "$image" >/dev/null
case $? in
0) ;;
1) exit 1 ;;
*) exit 128 ;;
esac

# 1: the kernel gave up or the machine stopped; 3: the time is over. Both are the kernel's.
stoop run "$image" ${ARGS:+--args "$ARGS"} --via "${VIA:-uboot}" --until "$UNTIL" --timeout "${TIMEOUT:-300}"
case $? in
0) exit 0 ;;
1 | 3) exit 1 ;;
*) exit 128 ;;
esac
