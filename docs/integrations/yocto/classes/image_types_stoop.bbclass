# An image type `stoop`: kernel, device tree and root filesystem in one image, ${IMAGE_NAME}.stoop.
#
#   IMAGE_CLASSES += "image_types_stoop"
#   IMAGE_FSTYPES += "stoop"
#   STOOP_BOARD = "gl-ar750"
#
# Written for the names of files as they are since release 5.0 (scarthgap).

STOOP ?= "stoop"
STOOP_BOARD ?= ""
# An ELF file (MIPS: KERNEL_IMAGETYPES += "vmlinux") or an arm64 Image.
STOOP_KERNEL ?= "${DEPLOY_DIR_IMAGE}/vmlinux"
STOOP_CONFIG ?= "${STAGING_KERNEL_BUILDDIR}/.config"
# The name of a device tree in ${DEPLOY_DIR_IMAGE}; empty: the board's own, or the bootloader's.
STOOP_DTB ?= ""
STOOP_ROOTFS_TYPE ?= "squashfs"
# More words for `stoop pack`.
STOOP_FLAGS ?= ""

IMAGE_TYPES += "stoop"
IMAGE_TYPEDEP:stoop = "${STOOP_ROOTFS_TYPE}"
do_image_stoop[depends] += "virtual/kernel:do_deploy virtual/kernel:do_shared_workdir"

IMAGE_CMD:stoop () {
    [ -n "${STOOP_BOARD}" ] || bbfatal "set STOOP_BOARD: stoop boards list"
    set -- pack --board "${STOOP_BOARD}" --kernel "${STOOP_KERNEL}" --config "${STOOP_CONFIG}"
    [ -z "${STOOP_DTB}" ] || set -- "$@" --dtb "${DEPLOY_DIR_IMAGE}/${STOOP_DTB}"
    set -- "$@" --rootfs "${IMGDEPLOYDIR}/${IMAGE_NAME}.${STOOP_ROOTFS_TYPE}"
    ${STOOP} "$@" ${STOOP_FLAGS} -o "${IMGDEPLOYDIR}/${IMAGE_NAME}.stoop"
}
