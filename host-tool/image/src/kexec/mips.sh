# Start and end of each segment, physical; all lie on 64 KiB.
segments='@SEGMENTS@'
# Without a root= kexec-tools would add the running system's.
root='@ROOT@'
option=CONFIG_KEXEC

machine() {
    # Byte 5 of an ELF file is its byte order: 1 little, 2 big.
    order=$(dd if=/proc/self/exe bs=1 skip=5 count=1 2>/dev/null)
    [ "$order" = "$(printf '\00@ORDER@')" ] || fail "the image is @ENDIAN@, this machine is not" \
        "pack the image for this router's board"
    case $(uname -m) in
    mips | mips64) ;;
    *) fail "this machine is $(uname -m), the image is for mips" "run this on the router" ;;
    esac
}

# Every segment must lie inside one range of System RAM.
memory() {
    for segment in $segments; do
        system_ram "${segment%-*}" "${segment#*-}" || fail "[${segment%-*}, ${segment#*-}) is not System RAM in /proc/iomem" \
            "pack for a board with this router's memory, or free that range: a no-map reservation, mem= or memmap= takes it away"
    done
}
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

# kexec-tools merge these words into the device tree that they hand over, if the running kernel has CONFIG_UHI_BOOT.
load() {
    words=$bootargs
    case " $words " in
    *' root='*) ;;
    *) [ -z "$root" ] || words="${words:+$words }root=$root" ;;
    esac
    said=$(kexec -l "$image" --append="$words" 2>&1) && return
    case $said in
    *'Invalid argument'*)
        case $(uname -v) in
        *SMP*) fail "the running kernel $(uname -r) is built for more than one CPU and has no way to stop the others here, so kexec_load fails (EINVAL)" \
            "run a kernel without CONFIG_SMP, or one with CONFIG_MIPS_CPS on a CPU that has it; or $bootloader" ;;
        esac
        fail "the running kernel does not take the image's segments (EINVAL): $said" "compare them with /proc/iomem: $segments"
        ;;
    esac
    return 1
}
