//! What the Linux on the board says of itself, asked in one go before anything is written: its flash partitions, what it runs from, its
//! tools, and room for a file.

use stoop_image::board::Board;
use stoop_image::image::flash::Area;

use super::Error;
use super::command::{Place, Tool};
use super::session::Session;
use crate::Result;
use crate::bootloader::Error::WrongBoard;

/// One line for each fact, which begins with what it is. Only what BusyBox has.
const QUESTIONS: &str = "\
sed 's/^/mtd /' /proc/mtd
for at in /sys/class/mtd/mtd*; do case $at in *ro) continue;; esac
echo \"at ${at##*/} $(cat $at/flags) $(cat $at/offset 2>/dev/null || echo 0) $(readlink -f $at)\"; done
for tool in flashcp flash_erase mtd_debug mtd; do command -v $tool > /dev/null && echo \"tool $tool\"; done
df -Pk /tmp | sed -n '$s/^/room /p'
sed -n 's/^MemAvailable:/memory /p' /proc/meminfo
cut -d ' ' -f 3,5 /proc/self/mountinfo | sed 's/^/mount /'
true";

/// The kernel lets it be written (include/uapi/mtd/mtd-abi.h: MTD_WRITEABLE).
const WRITEABLE: u32 = 0x400;

/// The major number of the block devices of flash partitions; what has no block device, as JFFS2, is mounted under the same numbers
/// (Documentation/admin-guide/devices.txt; fs/jffs2 by drivers/mtd/mtdsuper.c).
const MTD_BLOCK: &str = "31";

/// The Linux on the board.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Target {
    host: String,
    partitions: Vec<Partition>,
    tools: Vec<Tool>,
    /// Bytes in /tmp, and bytes of memory; what is not known is not a limit.
    room: [Option<usize>; 2],
    /// Numbers of partitions, and where what lies there is mounted.
    mounts: Vec<(usize, String)>,
}

/// A line of /proc/mtd, `mtd3: 00180000 00010000 "firmware-a"`, with what sysfs says of it.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Partition {
    number: usize,
    name: String,
    size: usize,
    erase: usize,
    /// `None`: a kernel that does not say.
    flags: Option<u32>,
    /// From the start of what it is a part of.
    offset: usize,
    /// `/sys/devices/…/mtd/mtd3`, below the partition that it is a part of.
    path: String,
}

impl Target {
    /// Asks it.
    ///
    /// # Errors
    /// The connection is lost.
    pub(super) fn of(session: &mut Session<'_>) -> Result<Target> {
        let answers = session.run(QUESTIONS, &[])?;
        Ok(Target::read(session.host(), &String::from_utf8_lossy(&answers)))
    }

    fn read(host: &str, answers: &str) -> Target {
        let said = |key: &str| -> Vec<&str> {
            answers.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix(' ')).collect()
        };
        let kilobytes = |key: &str, word: usize| -> Option<usize> {
            said(key).first()?.split_whitespace().nth(word)?.parse::<usize>().ok()?.checked_mul(1024)
        };
        let tools = said("tool");
        let mut partitions: Vec<Partition> = said("mtd").into_iter().filter_map(Partition::read).collect();
        for line in said("at") {
            let words: Vec<&str> = line.split(' ').collect();
            let [name, flags, offset, path] = words[..] else { continue };
            if let Some(partition) = partitions.iter_mut().find(|it| format!("mtd{}", it.number) == name) {
                partition.flags = u32::from_str_radix(flags.trim_start_matches("0x"), 16).ok();
                partition.offset = offset.parse().unwrap_or_default();
                partition.path = path.to_owned();
            }
        }
        let mount = |line: &str| {
            let (device, at) = line.split_once(' ')?;
            let (major, minor) = device.split_once(':')?;
            (major == MTD_BLOCK).then_some((minor.parse().ok()?, at.to_owned()))
        };
        Target {
            host: host.to_owned(),
            partitions,
            tools: Tool::ALL.into_iter().filter(|tool| tools.contains(&tool.name())).collect(),
            room: [kilobytes("room", 3), kilobytes("memory", 0)],
            mounts: said("mount").into_iter().filter_map(mount).collect(),
        }
    }

    /// Where an area is there.
    ///
    /// # Errors
    /// [`WrongBoard`]: its flash is divided otherwise than the board file says. [`Error::ReadOnly`], [`Error::InUse`].
    pub(super) fn place(&self, board: &Board, area: &Area) -> Result<Place> {
        let found = self.partition(area.partition()).and_then(|found| found.agrees(board, area));
        let partition = found.map_err(|difference| WrongBoard { board: board.name.clone(), difference })?;
        let (host, name) = (self.host.clone(), partition.name.clone());
        if partition.flags.is_some_and(|flags| flags & WRITEABLE == 0) {
            return Err(Error::ReadOnly { host, partition: name }.into());
        }
        if let Some((_, at)) = self.mounts.iter().find(|(number, _)| self.overlap(partition, *number)) {
            return Err(Error::InUse { host, partition: name, at: at.clone() }.into());
        }
        Ok(Place {
            device: format!("/dev/mtd{}", partition.number),
            partition: name,
            inside: area.inside(),
            size: area.size(),
            erase: partition.erase,
        })
    }

    /// What writes there.
    ///
    /// # Errors
    /// [`Error::NoTool`].
    pub(super) fn tool(&self, place: &Place) -> Result<Tool> {
        let found = self.tools.iter().copied().find(|tool| tool.writes_at(place.inside));
        let (host, partition, inside) = (self.host.clone(), place.partition.clone(), place.inside);
        Ok(found.ok_or(Error::NoTool { host, partition, inside })?)
    }

    /// Whether a file fits.
    ///
    /// # Errors
    /// [`Error::NoSpace`].
    pub(super) fn has_room(&self, size: usize) -> Result<()> {
        match self.room.into_iter().flatten().min() {
            Some(free) if free < size => Err(Error::NoSpace { host: self.host.clone(), size, free }.into()),
            _ => Ok(()),
        }
    }

    fn partition(&self, name: &str) -> Result<&Partition, String> {
        let mut found = self.partitions.iter().filter(|partition| partition.name == name);
        match (found.next(), found.next()) {
            (Some(partition), None) => Ok(partition),
            (Some(_), Some(_)) => Err(format!("its /proc/mtd has two partitions {name}")),
            (None, _) => Err(format!("its /proc/mtd has no partition {name}")),
        }
    }

    /// Whether the partition with that number has a byte of this one: it is the same, a part of it, or the other way round.
    fn overlap(&self, one: &Partition, number: usize) -> bool {
        let Some(other) = self.partitions.iter().find(|it| it.number == number) else { return false };
        let (folder, other_folder) = (one.folder(), other.folder());
        let beside = !folder.is_empty() && folder == other_folder;
        one.number == number
            || other.path.starts_with(&format!("{}/", one.path)) && !one.path.is_empty()
            || one.path.starts_with(&format!("{}/", other.path)) && !other.path.is_empty()
            || beside && one.offset < other.end() && other.offset < one.end()
    }
}

impl Partition {
    fn read(line: &str) -> Option<Partition> {
        let (device, rest) = line.split_once(": ")?;
        let (numbers, name) = rest.split_once(" \"")?;
        let (size, erase) = numbers.split_once(' ')?;
        let number = |text: &str| usize::from_str_radix(text, 16).ok();
        Some(Partition {
            number: device.strip_prefix("mtd")?.parse().ok()?,
            name: name.strip_suffix('"')?.to_owned(),
            size: number(size)?,
            erase: number(erase).filter(|erase| *erase != 0)?,
            flags: None,
            offset: 0,
            path: String::new(),
        })
    }

    /// Itself, if it is as the board file says and what it erases together lies in the area or outside of it.
    fn agrees(&self, board: &Board, area: &Area) -> Result<&Partition, String> {
        let (name, size, erase) = (&self.name, self.size, self.erase);
        let known = board.flash.as_ref().and_then(|flash| flash.partition(name)).map_or(0, |it| it.size);
        if size != known {
            return Err(format!("its partition {name} has 0x{size:x} bytes, the flash map says 0x{known:x}"));
        }
        if !area.inside().is_multiple_of(erase) || !area.size().is_multiple_of(erase) {
            let block = area.erase_size();
            return Err(format!(
                "its partition {name} is erased in blocks of 0x{erase:x} bytes, the flash map says 0x{block:x}"
            ));
        }
        Ok(self)
    }

    /// Behind its last byte; what the board says may be anything.
    fn end(&self) -> usize {
        self.offset.saturating_add(self.size)
    }

    fn folder(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }
}

#[cfg(test)]
mod tests {
    use stoop_image::Explained;
    use stoop_image::board::{self, Board};

    use super::super::command::Tool;
    use super::Target;
    use crate::flash::Job;

    const ANSWERS: &str = "\
mtd dev:    size   erasesize  name
mtd mtd0: 00080000 00010000 \"u-boot\"
mtd mtd2: 00180000 00001000 \"firmware-a\"
mtd mtd3: 00020000 00010000 \"rootfs-a\"
at mtd0 0x800 0 /sys/devices/platform/1e000000.flash/mtd/mtd0
at mtd2 0xc00 589824 /sys/devices/platform/1e000000.flash/mtd/mtd2
at mtd3 0xc00 2162688 /sys/devices/platform/1e000000.flash/mtd/mtd3
tool mtd_debug
tool flashcp
room tmpfs 122112 12 122100 1% /tmp
memory    224572 kB
mount 0:2 /
mount 31:3 /mnt
";

    fn board() -> Board {
        board::load("qemu-malta-le").expect("a board")
    }

    /// The code and the words of what is wrong there; nothing if it can be written.
    fn wrong(answers: &str) -> Option<(&'static str, String)> {
        let board = board();
        let job = Job::of(&board, b"image", false).expect("a job");
        let target = Target::read("root@board", answers);
        let place = target.place(&board, &job.writes[0].area);
        let error = place.and_then(|place| target.tool(&place)).and_then(|_| target.has_room(0x1_0000)).err()?;
        Some((error.code(), error.to_string()))
    }

    #[test]
    fn what_the_board_says_is_read() {
        let target = Target::read("root@board", ANSWERS);
        assert_eq!(target.tools, [Tool::Flashcp, Tool::MtdDebug]);
        assert_eq!(target.room, [Some(122_100 << 10), Some(224_572 << 10)]);
        assert_eq!(target.mounts, [(3, "/mnt".to_owned())]);
        let job = Job::of(&board(), b"image", false).expect("a job");
        let place = target.place(&board(), &job.writes[0].area).expect("it is as the map says");
        assert_eq!((place.device.as_str(), place.inside, place.size, place.erase), ("/dev/mtd2", 0, 0x1_0000, 0x1000));
    }

    #[test]
    fn a_board_with_another_table_without_room_tools_or_leave_is_refused() {
        assert_eq!(wrong(ANSWERS), None);
        for (is, instead, code, words) in [
            ("firmware-a", "firmware", "L044", "its /proc/mtd has no partition firmware-a"),
            ("rootfs-a", "firmware-a", "L044", "its /proc/mtd has two partitions firmware-a"),
            ("00180000", "00190000", "L044", "its partition firmware-a has 0x190000 bytes"),
            ("00180000 00001000", "00180000 00020000", "L044", "is erased in blocks of 0x20000 bytes"),
            ("mtd2 0xc00", "mtd2 0x800", "L096", "lets nobody write the flash partition firmware-a"),
            ("mount 31:3", "mount 31:2", "L097", "what is mounted at /mnt lies there"),
            ("tool ", "no ", "L094", "nothing that writes its flash partition firmware-a from 0x0 on"),
            ("122100", "63", "L095", "0xfc00 bytes of memory for a file of 0x10000 bytes"),
            ("224572", "63", "L095", "0xfc00 bytes of memory for a file of 0x10000 bytes"),
        ] {
            let (found, said) = wrong(&ANSWERS.replace(is, instead)).unwrap_or_else(|| panic!("{instead} is fine"));
            assert_eq!(found, code, "{said}");
            assert!(said.contains(words), "{said}");
        }
    }

    #[test]
    fn what_runs_from_a_part_of_a_partition_or_from_beside_it_at_the_same_place_is_found() {
        // A part of a part, as OpenWrt's root filesystem is one of its firmware.
        let part = ANSWERS.replace(
            "2162688 /sys/devices/platform/1e000000.flash/mtd/mtd3",
            "65536 /sys/devices/platform/1e000000.flash/mtd/mtd2/mtd3",
        );
        assert_eq!(wrong(&part).map(|(code, _)| code), Some("L097"));
        // Before Linux 5.8 parts of parts stand beside them.
        let beside = ANSWERS.replace("2162688", "655360");
        assert_eq!(wrong(&beside).map(|(code, _)| code), Some("L097"));
        // No place in flash, but a number.
        let nowhere = ANSWERS.replace("2162688", &usize::MAX.to_string());
        assert_eq!(wrong(&nowhere), None);
    }

    #[test]
    fn a_kernel_that_says_little_is_not_refused_for_that() {
        let few: String = ANSWERS
            .lines()
            .filter(|line| !line.starts_with("at ") && !line.starts_with("memory"))
            .collect::<Vec<_>>()
            .join("\n");
        assert_eq!(wrong(&few), None);
        assert_eq!(wrong("").map(|(code, _)| code), Some("L044"));
    }
}
