#!/bin/sh
# Starts one stoop image from a running Linux, with stock kexec-tools. Written by stoop @VERSION@.
#
#   sh @NAME@ [-n] [-l] IMAGE [BOOTARGS]
#
#   -n  check only: nothing is loaded
#   -l  load, do not start: `kexec -e` starts it
#
# IMAGE is the file that this script was made for, @SIZE@ bytes. BOOTARGS are one argument, judged by the image's cookie rule.
# Nothing is written but the kernel's own memory, and on arm64 for a moment perhaps a device tree in /tmp.

fail() {
    echo "stoop: $1" >&2
    echo "  next: $2" >&2
    exit 1
}

# KiB that the kernel needs to keep the image, and that kexec-tools needs to read the file.
loaded=@LOADED@
file=@FILE@
bootloader="start the image from the bootloader"

locked_down() {
    fail "the running kernel is locked down and loads only what is signed: $1" \
        "boot it without lockdown= and without Secure Boot, or $bootloader"
}

@FUNCTIONS@

kib() {
    while read -r key value unit; do
        if [ "$key" = "$1:" ]; then
            echo "$value"
            return
        fi
    done < /proc/meminfo
}

check_only= load_only=
while getopts nl option; do
    case $option in
    n) check_only=1 ;;
    l) load_only=1 ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
if [ $# -lt 1 ] || [ $# -gt 2 ]; then
    echo "usage: sh $0 [-n] [-l] IMAGE [BOOTARGS]" >&2
    exit 2
fi
image=$1 bootargs=${2:-}

# The image.
[ -r "$image" ] || fail "$image cannot be read" "copy the image to the router, and give its path"
size=$(wc -c < "$image")
[ "$((size))" -eq @SIZE@ ] || fail "$image has $((size)) bytes, the packed image @SIZE@" \
    "copy it again, or make the script again with \`stoop kexec\`"

machine

# The running kernel.
[ "$(id -u)" -eq 0 ] || fail "only root may load a kernel" "run this as root"
command -v kexec > /dev/null || fail "kexec is not installed" "install kexec-tools (OpenWrt, Debian: package kexec-tools)"
[ -d /sys/kernel ] || fail "/sys is not mounted" "mount -t sysfs sysfs /sys"
[ -e /sys/kernel/kexec_loaded ] || fail "the running kernel $(uname -r) is built without $option" \
    "$bootloader, or run a kernel with CONFIG_KEXEC=y"
if [ "$(cat /proc/sys/kernel/kexec_load_disabled 2>/dev/null)" = 1 ]; then
    fail "kernel.kexec_load_disabled is set, until the next boot" "find what sets it (sysctl.conf), and reboot without"
fi
if [ "$(cat /proc/sys/kernel/kexec_load_limit_reboot 2>/dev/null)" = 0 ]; then
    fail "kernel.kexec_load_limit_reboot is 0, until the next boot: no image may be loaded any more" \
        "find what sets it (sysctl.conf), and reboot without"
fi
lockdown=$(cat /sys/kernel/security/lockdown 2>/dev/null)
case $lockdown in
'' | *'[none]'*) ;;
*) locked_down "$lockdown" ;;
esac
[ -d /proc/device-tree ] || fail "the running kernel has no device tree, which kexec hands on" "$bootloader"

# Its memory.
memory
total=$(kib MemTotal)
[ "$loaded" -le $((total / 2)) ] || fail "the image takes $loaded KiB, the kernel takes at most half of its $total KiB" \
    "make the root filesystem smaller, or $bootloader"
available=$(kib MemAvailable)
if [ -n "$available" ] && [ $((loaded + file)) -gt "$available" ]; then
    fail "loading takes $((loaded + file)) KiB, $available KiB are available" "stop services, or remove files from /tmp"
fi
if [ -n "$check_only" ]; then
    echo "stoop: this kernel can load $image"
    exit 0
fi

if load; then
    echo "stoop: $image is loaded"
else
    case $said in
    *'Operation not permitted'*) locked_down "$said" ;;
    *'Cannot allocate memory'*) fail "the running kernel has no memory for $loaded KiB" "stop services, or remove files from /tmp" ;;
    *) fail "kexec -l failed: $said" "see kexec(8)" ;;
    esac
fi
[ -z "$load_only" ] || exit 0
echo "stoop: starting it"
sync
exec kexec -e
