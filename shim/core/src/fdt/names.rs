//! Every name and constant text of the writer, by its offset in one pool.

/// An offset in the pool of a text that ends with NUL.
pub(super) type Name = u16;

/// The names of properties first: that part goes behind the source's strings block. Room for numbers is zero.
const TEXT: &[u8] = b"#address-cells\0#size-cells\0ranges\0bootargs\0linux,initrd-start\0linux,initrd-end\0\
compatible\0label\0reg\0device_type\0version\0verdict\0slot\0count-entry\0count-handoff\0mtd\0\0\0\0\
chosen\0chosen@0\0aliases\0reserved-memory\0stoop\0phram\0rootfs\0memory@................\0/reserved-memory/phram@................\0";

/// A pool, not yet with its numbers.
pub(super) const POOL: [u8; TEXT.len()] = {
    let mut pool = [0; TEXT.len()];
    let mut at = 0;
    while at < pool.len() {
        pool[at] = if TEXT[at] == b'.' { 0 } else { TEXT[at] };
        at += 1;
    }
    pool
};

/// The first place of `text` in the pool.
const fn find(text: &[u8]) -> Name {
    let mut at = 0;
    loop {
        let mut same = 0;
        while same < text.len() && POOL[at + same] == text[same] {
            same += 1;
        }
        if same == text.len() {
            return at as Name;
        }
        at += 1;
    }
}

pub(super) const ADDRESS_CELLS: Name = find(b"#address-cells\0");
pub(super) const SIZE_CELLS: Name = find(b"#size-cells\0");
pub(super) const RANGES: Name = find(b"ranges\0");
pub(super) const BOOTARGS: Name = find(b"bootargs\0");
pub(super) const INITRD_START: Name = find(b"linux,initrd-start\0");
pub(super) const INITRD_END: Name = find(b"linux,initrd-end\0");
pub(super) const COMPATIBLE: Name = find(b"compatible\0");
pub(super) const LABEL: Name = find(b"label\0");
pub(super) const REG: Name = find(b"reg\0");
pub(super) const DEVICE_TYPE: Name = find(b"device_type\0");
pub(super) const VERSION: Name = find(b"version\0");
pub(super) const VERDICT: Name = find(b"verdict\0");
pub(super) const ENTRY: Name = find(b"entry\0");
pub(super) const SLOT: Name = find(b"slot\0");
pub(super) const COUNT_ENTRY: Name = find(b"count-entry\0");
pub(super) const COUNT_HANDOFF: Name = find(b"count-handoff\0");
/// `mtd` and a number of up to three digits.
pub(super) const ALIAS: Name = find(b"mtd\0");
/// Bytes of the pool that are names of properties.
pub(super) const PROPERTIES: usize = CHOSEN as usize;

pub(super) const CHOSEN: Name = find(b"chosen\0");
pub(super) const CHOSEN_0: Name = find(b"chosen@0\0");
pub(super) const ALIASES: Name = find(b"aliases\0");
pub(super) const RESERVED: Name = find(b"reserved-memory\0");
pub(super) const STOOP: Name = find(b"stoop\0");
pub(super) const PHRAM: Name = find(b"phram\0");
pub(super) const ROOTFS: Name = find(b"rootfs\0");
pub(super) const MEMORY: Name = find(b"memory\0");
/// `memory@` and an address.
pub(super) const MEMORY_AT: Name = find(b"memory@");
/// `/reserved-memory/phram@` and an address.
pub(super) const PATH: Name = find(b"/reserved-memory/phram@");
/// The last part of [`PATH`].
pub(super) const PHRAM_AT: Name = find(b"phram@");

/// Bytes of the text at the front of `bytes` with its NUL, even if that is missing.
#[inline(never)]
pub(super) fn text_len(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| **byte != 0).count().wrapping_add(1)
}

/// The names of one tree: the pool with its numbers.
pub(super) struct Names([u8; POOL.len()]);

impl Names {
    pub(super) const NEW: Names = Names(POOL);

    /// Writes `number` into the room at that offset: hex, no leading zeros (Devicetree Specification 2.2.1.1).
    #[inline(never)]
    pub(super) fn number(&mut self, room: Name, number: usize) {
        let mut at = usize::from(room);
        let mut shift = usize::BITS;
        while shift != 0 {
            shift = shift.wrapping_sub(4);
            let rest = number.wrapping_shr(shift);
            if rest == 0 && shift != 0 {
                continue;
            }
            let digit = (rest & 15) as u8;
            if let Some(byte) = self.0.get_mut(at) {
                *byte = digit.wrapping_add(if digit < 10 { b'0' } else { b'a' - 10 });
            }
            at = at.wrapping_add(1);
        }
    }

    /// The pool from `name` on.
    #[inline(never)]
    pub(super) fn get(&self, name: Name) -> &[u8] {
        self.0.get(usize::from(name)..).unwrap_or(&[])
    }

    /// The text at the front of `bytes` is `name`.
    #[inline(never)]
    pub(super) fn same(&self, bytes: &[u8], name: Name) -> bool {
        for (a, b) in bytes.iter().zip(self.get(name)) {
            if a != b {
                return false;
            }
            if *a == 0 {
                return true;
            }
        }
        false
    }

    /// What goes behind the source's strings block.
    pub(super) fn properties(&self) -> &[u8] {
        self.0.split_at_checked(PROPERTIES).map_or(&[], |(properties, _)| properties)
    }
}
