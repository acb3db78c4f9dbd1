#!/bin/sh
# Starts one stoop image from a running Linux, with stock kexec-tools. Written by stoop @VERSION@.
#
#   sh @NAME@.sh [-n] [-l] IMAGE [BOOTARGS]
#
#   -n  check only: nothing is loaded
#   -l  load, do not start: `kexec -e` starts it
#
# IMAGE is the file that this script was made for, @SIZE@ bytes. BOOTARGS are one argument, judged by the image's cookie rule;
# kernels without CONFIG_UHI_BOOT do not pass them on. Nothing is written but the kernel's own memory.

fail() {
    echo "stoop: $1" >&2
    echo "  next: $2" >&2
    exit 1
}

# Start and end of each segment, physical; all lie on 64 KiB.
segments='@SEGMENTS@'
# KiB that the kernel needs to keep them, and that kexec-tools needs to read the file.
loaded=@LOADED@
file=@FILE@
# Without a root= kexec-tools would add the running system's.
root='@ROOT@'

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

# The machine. Byte 5 of an ELF file is its byte order: 1 little, 2 big.
order=$(dd if=/proc/self/exe bs=1 skip=5 count=1 2>/dev/null)
[ "$order" = "$(printf '\00@ORDER@')" ] || fail "the image is @ENDIAN@, this machine is not" \
    "pack the image for this router's board"
case $(uname -m) in
mips | mips64) ;;
*) fail "this machine is $(uname -m), the image is for mips" "run this on the router" ;;
esac

# The running kernel.
[ "$(id -u)" -eq 0 ] || fail "only root may load a kernel" "run this as root"
command -v kexec > /dev/null || fail "kexec is not installed" "install kexec-tools (OpenWrt, Debian: package kexec-tools)"
[ -d /sys/kernel ] || fail "/sys is not mounted" "mount -t sysfs sysfs /sys"
[ -e /sys/kernel/kexec_loaded ] || fail "the running kernel $(uname -r) is built without CONFIG_KEXEC" \
    "start the image from the bootloader, or run a kernel with CONFIG_KEXEC=y"
if [ "$(cat /proc/sys/kernel/kexec_load_disabled 2>/dev/null)" = 1 ]; then
    fail "kernel.kexec_load_disabled is set, until the next boot" "find what sets it (sysctl.conf), and reboot without"
fi
[ -d /proc/device-tree ] || fail "the running kernel has no device tree, which kexec-tools reads from /proc/device-tree" \
    "start the image from the bootloader"

# Its memory: every segment inside one range of System RAM.
system_ram() {
    while IFS= read -r line; do
        case $line in
        ' '*) continue ;;
        *' : System RAM') ;;
        *) continue ;;
        esac
        range=${line%% *}
        if [ $((0x${range%-*})) -le $(($1)) ] && [ $((0x${range#*-} + 1)) -ge $(($2)) ]; then
            return 0
        fi
    done < /proc/iomem
    return 1
}
for segment in $segments; do
    system_ram "${segment%-*}" "${segment#*-}" || fail "[${segment%-*}, ${segment#*-}) is not System RAM in /proc/iomem" \
        "pack for a board with this router's memory, or free that range: a no-map reservation, mem= or memmap= takes it away"
done
kib() {
    while read -r key value unit; do
        if [ "$key" = "$1:" ]; then
            echo "$value"
            return
        fi
    done < /proc/meminfo
}
total=$(kib MemTotal)
[ "$loaded" -le $((total / 2)) ] || fail "the image takes $loaded KiB, the kernel takes at most half of its $total KiB" \
    "make the root filesystem smaller, or start the image from the bootloader"
available=$(kib MemAvailable)
if [ -n "$available" ] && [ $((loaded + file)) -gt "$available" ]; then
    fail "loading takes $((loaded + file)) KiB, $available KiB are available" "stop services, or remove files from /tmp"
fi
if [ -n "$check_only" ]; then
    echo "stoop: this kernel can load $image"
    exit 0
fi

# kexec-tools merges these words into the device tree that it hands over.
words=$bootargs
case " $words " in
*' root='*) ;;
*) [ -z "$root" ] || words="${words:+$words }root=$root" ;;
esac
if said=$(kexec -l "$image" --append="$words" 2>&1); then
    echo "stoop: $image is loaded"
else
    case $said in
    *'Invalid argument'*)
        case $(uname -v) in
        *SMP*) fail "the running kernel $(uname -r) is built for more than one CPU and has no way to stop the others here, so kexec_load fails (EINVAL)" \
            "run a kernel without CONFIG_SMP, or one with CONFIG_MIPS_CPS on a CPU that has it; or start the image from the bootloader" ;;
        esac
        fail "the running kernel does not take the image's segments (EINVAL): $said" "compare them with /proc/iomem: $segments"
        ;;
    *'Operation not permitted'*) fail "the running kernel is locked down: $said" "boot it without lockdown, or use the bootloader" ;;
    *'Cannot allocate memory'*) fail "the running kernel has no memory for $loaded KiB" "stop services, or remove files from /tmp" ;;
    *) fail "kexec -l failed: $said" "see kexec(8)" ;;
    esac
fi
[ -z "$load_only" ] || exit 0
echo "stoop: starting it"
sync
exec kexec -e
