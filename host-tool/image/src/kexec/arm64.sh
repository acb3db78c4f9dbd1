# The image wants to begin so many bytes behind a multiple of 2 MiB, and so much RAM; behind it comes kexec's device tree.
offset=@OFFSET@
extent=@EXTENT@
behind=@BEHIND@
# RAM that the image uses: that of the board it was packed for.
ram_start=@RAM_START@
ram_end=@RAM_END@
option='CONFIG_KEXEC or CONFIG_KEXEC_FILE'

machine() {
    [ "$(uname -m)" = aarch64 ] || fail "this machine is $(uname -m), the image is for aarch64" "run this on the router"
}

# kexec takes the lowest place in System RAM that is large enough; it keeps off what is reserved there, but not off the
# running kernel.
memory() {
    place= free=0 end=0 ram_top=0
    while IFS= read -r line; do
        range=${line%% : *} range=${range##* }
        from=$((0x${range%-*})) to=$((0x${range#*-} + 1))
        case $line in
        ' '*': Kernel '*) ;;
        ' '*)
            if [ "$to" -le "$end" ] && [ "$to" -gt "$free" ]; then
                fits "$from"
                free=$to
            fi
            ;;
        *)
            fits "$end"
            free=0 end=0
            case $line in
            *' : System RAM') free=$from end=$to ram_top=$to ;;
            esac
            ;;
        esac
    done < /proc/iomem
    fits "$end"
    need=$(printf '0x%x' $((extent + behind)))
    [ -n "$place" ] || fail "no free range of System RAM in /proc/iomem has $need bytes from a multiple of 2 MiB + $offset on" \
        "make the root filesystem smaller, or free memory: no-map reservations, crashkernel=, mem= and memmap= take it away"
    if [ "$place" -lt $((ram_start)) ] || [ $((place + extent + behind)) -gt $((ram_end)) ]; then
        fail "$(printf 'kexec puts the image at 0x%x' "$place"), and with $need bytes that is not inside the RAM of the board it was packed for, [$ram_start, $ram_end)" \
            "pack for a board with this router's memory"
    fi
}
# Takes the range from $free to $1 if it is the first that is large enough.
fits() {
    at=$(((free + 0x1fffff) / 0x200000 * 0x200000 + offset))
    if [ -z "$place" ] && [ $((at + extent + behind)) -le "$1" ]; then
        place=$at
    fi
}

# The kernel's own loader (-s) wipes an old kaslr-seed, and knows no bootargs but these. Its device tree comes to the end of RAM,
# where the image must be able to read it, and the kernel reads the file again. Else kexec-tools do it (-c).
load() {
    said_first=
    if [ "$ram_top" -le $((ram_end)) ] && { [ -z "$available" ] || [ $((loaded + 2 * file)) -le "$available" ]; }; then
        said=$(kexec -s -l "$image" ${bootargs:+"--append=$bootargs"} 2>&1) && return
        said_first=$said
    fi
    tree=
    wipe_seed
    # An empty --append would pass on the running system's bootargs.
    said=$(kexec -c -l "$image" --append="${bootargs:- }" ${tree:+"--dtb=$tree"} 2>&1) && loaded_by_tools=1 || loaded_by_tools=
    [ -z "$tree" ] || rm -rf "${tree%/*}"
    [ -z "$loaded_by_tools" ] || return 0
    said="$said${said_first:+ (and -s: $said_first)}"
    case $said in
    *'Device or resource busy'*) fail "the running kernel $(uname -r) cannot stop its other CPUs here, so kexec fails (EBUSY)" \
        "run it with nr_cpus=1, or with a device tree whose CPUs have enable-method = \"psci\"; or $bootloader" ;;
    *setup_2nd_dtb*) fail "kexec-tools do not take the running system's device tree: $said" \
        "run a kernel with CONFIG_KEXEC_FILE=y, or $bootloader" ;;
    *'Cannot assign requested address'*) fail "the running kernel $(uname -r) does not take the image's place (EADDRNOTAVAIL): $said" \
        "run a kernel with 4 KiB pages, or $bootloader" ;;
    esac
    return 1
}

# kexec-tools refuse a tree with a kaslr-seed: a kernel that runs without KASLR has left it there. So they get a copy with zeros.
wipe_seed() {
    seed=$(hex /proc/device-tree/chosen/kaslr-seed)
    case $seed in
    *[1-9a-f]*) ;;
    *) return ;;
    esac
    [ -r /sys/firmware/fdt ] || return
    # A folder of its own, that nobody else can have made: never a file that others may have put or linked there.
    folder=$(mktemp -d "${TMPDIR:-/tmp}/stoop.XXXXXX") ||
        fail "no folder can be made in ${TMPDIR:-/tmp}" "make room there, or set TMPDIR to a folder that root may write"
    trap 'rm -rf "$folder"' EXIT
    trap 'exit 1' HUP INT TERM
    tree=$folder/tree.dtb
    cat /sys/firmware/fdt > "$tree"
    at=$(hex "$tree" | awk -v "seed=$seed" '{ print index($0, seed) }')
    printf '\0\0\0\0\0\0\0\0' | dd of="$tree" bs=1 seek=$(((at - 1) / 2)) conv=notrunc 2>/dev/null
}
hex() {
    { od -An -v -tx1 "$1" 2>/dev/null || hexdump -v -e '1/1 "%02x"' "$1" 2>/dev/null; } | tr -d ' \n'
}
