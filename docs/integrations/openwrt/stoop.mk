# Image recipes for OpenWrt: include this in target/linux/TARGET/image/Makefile, after image.mk.
#
#   STOOP_BOARD   name of a board that `stoop boards list` knows, or a file
#   STOOP_FLAGS   more words for `stoop pack`

STOOP ?= stoop
DEVICE_VARS += STOOP_BOARD STOOP_FLAGS

# What every image needs: board, kernel configuration (the kernel does not carry it), device tree. $(1): kernel.
define stoop-pack
	$(STOOP) pack --board $(STOOP_BOARD) --kernel $(1) --config $(LINUX_DIR)/.config \
		--dtb $(KDIR)/image-$(firstword $(DEVICE_DTS)).dtb $(STOOP_FLAGS)
endef

# A step of KERNEL: the kernel in $@ becomes an image of it. $(1): format, then more words for `stoop pack`.
define Build/stoop
	$(call stoop-pack,$@) --format $(word 1,$(1)) $(wordlist 2,$(words $(1)),$(1)) -o $@.stoop
	mv $@.stoop $@
endef

# An IMAGE of its own: kernel and root filesystem in one file, the root filesystem in RAM. The second prerequisite is the
# root filesystem. $(1): as above.
define Build/stoop-rootfs
	$(call stoop-pack,$(KDIR)/$(KERNEL_NAME)) --rootfs $(word 2,$^) \
		--format $(word 1,$(1)) $(wordlist 2,$(words $(1)),$(1)) -o $@.stoop
	mv $@.stoop $@
endef

# For a device: $(Device/stoop), then STOOP_BOARD.
define Device/stoop
  KERNEL_NAME := vmlinux.elf
  KERNEL := kernel-bin | stoop uimage
  KERNEL_INITRAMFS_NAME := vmlinux-initramfs.elf
  KERNEL_INITRAMFS := kernel-bin | stoop uimage
endef
