//! The shell words that write flash, for whatever the board has: mtd-utils' or BusyBox's `flashcp`, OpenWrt's `mtd`, mtd-utils' others.

use stoop_image::shell::quoted;

/// Where files are put on the board: in RAM on all of them. One name, so that what a lost connection left is replaced by the next one.
pub(super) const FILE: &str = "/tmp/stoop-flash";

/// What writes flash, erasing it first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Tool {
    /// `flashcp` of mtd-utils or BusyBox: from a partition's start on.
    Flashcp,
    /// `mtd` of OpenWrt: the same.
    Mtd,
    /// `flash_erase` of mtd-utils, then `dd`.
    FlashErase,
    /// `mtd_debug` of mtd-utils.
    MtdDebug,
}

impl Tool {
    /// All, the best first.
    pub(super) const ALL: [Tool; 4] = [Tool::Flashcp, Tool::Mtd, Tool::FlashErase, Tool::MtdDebug];

    /// The program.
    pub(super) fn name(self) -> &'static str {
        match self {
            Tool::Flashcp => "flashcp",
            Tool::Mtd => "mtd",
            Tool::FlashErase => "flash_erase",
            Tool::MtdDebug => "mtd_debug",
        }
    }

    /// Whether it can begin there, counted from the partition's start.
    pub(super) fn writes_at(self, inside: usize) -> bool {
        inside == 0 || matches!(self, Tool::FlashErase | Tool::MtdDebug)
    }
}

/// An extent of flash as the board's Linux knows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Place {
    /// `/dev/mtd3`.
    pub(super) device: String,
    /// The partition's name, which OpenWrt's `mtd` takes.
    pub(super) partition: String,
    /// From the partition's start, in bytes.
    pub(super) inside: usize,
    /// In bytes.
    pub(super) size: usize,
    /// Bytes that the kernel erases together.
    pub(super) erase: usize,
}

impl Place {
    /// Erases it and writes [`FILE`], which has its size.
    pub(super) fn program(&self, tool: Tool) -> String {
        let Place { device, partition, inside, size, erase } = self;
        let (first, count) = (inside / erase, size / erase);
        match tool {
            Tool::Flashcp => format!("flashcp {FILE} {device}"),
            // In names it takes a colon for the end of one (its `mtd_check`); what is no name is a path to it.
            Tool::Mtd if partition.contains(':') => format!("mtd -q write {FILE} {device}"),
            Tool::Mtd => format!("mtd -q write {FILE} {}", quoted(partition)),
            Tool::FlashErase => format!(
                "flash_erase -q {device} 0x{inside:x} {count} && dd if={FILE} of={device} bs={erase} seek={first} conv=notrunc"
            ),
            Tool::MtdDebug => format!(
                "mtd_debug erase {device} 0x{inside:x} 0x{size:x} && mtd_debug write {device} 0x{inside:x} 0x{size:x} {FILE}"
            ),
        }
    }

    /// Writes [`FILE`], so many bytes, at its start, which is erased.
    pub(super) fn fill_front(&self) -> String {
        format!("dd if={FILE} of={} bs={} seek={} conv=notrunc", self.device, self.erase, self.inside / self.erase)
    }

    /// Prints its bytes.
    pub(super) fn read(&self) -> String {
        let (skip, count) = (self.inside / self.erase, self.size / self.erase);
        format!("dd if={} bs={} skip={skip} count={count}", self.device, self.erase)
    }
}

/// The command, and then the file is gone, whatever happened.
pub(super) fn and_away(command: &str) -> String {
    format!("{command}; code=$?; rm -f {FILE}; exit $code")
}

#[cfg(test)]
mod tests {
    use super::{Place, Tool};

    #[test]
    fn commands_name_only_the_extent() {
        let place = Place {
            device: "/dev/mtd3".into(),
            partition: "firmware".into(),
            inside: 0x2_0000,
            size: 0x4_0000,
            erase: 0x1_0000,
        };
        assert_eq!(
            place.program(Tool::FlashErase),
            "flash_erase -q /dev/mtd3 0x20000 4 && dd if=/tmp/stoop-flash of=/dev/mtd3 bs=65536 seek=2 conv=notrunc"
        );
        assert_eq!(
            place.program(Tool::MtdDebug),
            "mtd_debug erase /dev/mtd3 0x20000 0x40000 && mtd_debug write /dev/mtd3 0x20000 0x40000 /tmp/stoop-flash"
        );
        assert_eq!(place.read(), "dd if=/dev/mtd3 bs=65536 skip=2 count=4");
        assert_eq!(place.fill_front(), "dd if=/tmp/stoop-flash of=/dev/mtd3 bs=65536 seek=2 conv=notrunc");
    }

    #[test]
    fn a_name_with_a_blank_is_one_word_and_one_with_a_colon_a_device() {
        let partition = "SC PID".to_owned();
        let place = Place { device: "/dev/mtd3".into(), partition, inside: 0, size: 0x1_0000, erase: 0x1_0000 };
        assert_eq!(place.program(Tool::Mtd), "mtd -q write /tmp/stoop-flash 'SC PID'");
        let place = Place { partition: "0:APPSBL".into(), ..place };
        assert_eq!(place.program(Tool::Mtd), format!("mtd -q write /tmp/stoop-flash {}", place.device));
    }

    #[test]
    fn only_tools_that_take_an_offset_begin_inside_a_partition() {
        let begin = |inside: usize| Tool::ALL.into_iter().filter(|tool| tool.writes_at(inside)).collect::<Vec<_>>();
        assert_eq!(begin(0), Tool::ALL);
        assert_eq!(begin(0x1_0000), [Tool::FlashErase, Tool::MtdDebug]);
    }
}
