# stoopImage: one image of kernel, device tree and root filesystem.
#
#   stoopImage {
#     board = "gl-ar750";                 # a name of `stoop boards list`, or a file
#     kernel = "${kernel.dev}/vmlinux";   # an unpatched one; on arm64 "${kernel}/Image"
#     dtb = "${kernel}/dtbs/qca/qca9531_glinet_gl-ar750.dtb";
#     rootfs = squashfs;                  # in RAM, found by phram
#     commandLine = [ "panic=10" ];       # after the device tree's bootargs
#   }
#
# The result is a folder: `image`, `pack.json` (what pack decided, and what to type at the bootloader), `check.json`.
{ lib, runCommand, stoop }:

{ board
, kernel
, name ? "stoop-image"
, config ? null
, dtb ? null
, overlays ? [ ]
, rootfs ? null
, initrd ? null
, commandLine ? [ ]
, cookie ? "liminix"
, keep ? [ ]
, format ? null
, extraArgs ? [ ]
}:

let
  option = flag: value: lib.optionals (value != null) [ flag "${value}" ];
  repeated = flag: values: lib.concatMap (option flag) values;
  args = [ "--board" "${board}" "--kernel" "${kernel}" "--cookie" cookie ]
    ++ option "--config" config
    ++ option "--dtb" dtb
    ++ repeated "--overlay" overlays
    ++ option "--rootfs" rootfs
    ++ option "--initrd" initrd
    ++ lib.optionals (commandLine != [ ]) [ "--append" (lib.concatStringsSep " " commandLine) ]
    ++ repeated "--keep" keep
    ++ option "--format" format
    ++ extraArgs;
in
runCommand name { nativeBuildInputs = [ stoop ]; } ''
  mkdir -p $out
  stoop pack ${lib.escapeShellArgs args} --json -o $out/image > $out/pack.json
  stoop check $out/image --json > $out/check.json
''
