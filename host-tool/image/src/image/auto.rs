//! What `--codec auto` takes and why: of what fits the flash the fastest, if the board's data tell how fast its flash is read and its
//! CPU runs, else the smallest; LZ4 where nothing has to fit.
//!
//! Estimates that compare codecs, no promise: instructions were counted in QEMU, and how many a CPU gets through is assumed.

use stoop_core::codec::Codec;

use crate::board::Board;

/// Instructions for each stored byte, which is copied from flash and whose CRC-32 is checked: docs/bench.md.
const CHECKING: u64 = 7;

/// Assumed of a CPU whose loads wait for RAM now and then; nobody has measured it on a board.
const CYCLES_PER_INSTRUCTION: u64 = 2;

/// Instructions for each byte that comes out: docs/bench.md. Of a copy nobody has counted them: a load and a store for a word,
/// and the loop around them.
fn delivering(codec: Codec) -> u64 {
    match codec {
        Codec::Store => 1,
        Codec::Lz4 => 8,
        Codec::Lzma => 74,
    }
}

/// How fast a board gets a kernel from flash to where it runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Speed {
    /// Bytes of flash in a second.
    pub(super) read: u64,
    /// Hertz.
    pub(super) clock: u64,
    /// How often each byte is read from flash.
    pub(super) times: u64,
}

impl Speed {
    /// By the board's data; `None` when they do not say it, and on arm64: the instructions here are those of MIPS.
    pub(super) fn of(board: &Board, times: u64) -> Option<Speed> {
        let read = board.flash.as_ref()?.read_speed? as u64;
        let clock = board.cpu_clock? as u64;
        board.arch.is_mips().then_some(Speed { read, clock, times })
    }
}

/// A way to store the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Candidate {
    pub(super) codec: Codec,
    /// Bytes in the image.
    pub(super) stored: usize,
    /// Bytes that come out.
    pub(super) decoded: usize,
}

impl Candidate {
    /// Microseconds for reading, and for checking and decoding.
    fn times(&self, speed: &Speed) -> (u64, u64) {
        let (stored, decoded) = (self.stored as u64, self.decoded as u64);
        let instructions = stored * CHECKING + decoded * delivering(self.codec);
        let cycles = instructions * CYCLES_PER_INSTRUCTION;
        (stored * speed.times * 1_000_000 / speed.read, cycles * 1_000_000 / speed.clock)
    }

    /// Microseconds in all.
    pub(super) fn time(&self, speed: &Speed) -> u64 {
        let (reading, working) = self.times(speed);
        reading + working
    }

    /// What to compare: the least is wanted most. Of two that take as long the smaller one, then the one with less to do.
    pub(super) fn rank(&self, speed: Option<&Speed>) -> (u64, usize, u8) {
        (speed.map_or(0, |speed| self.time(speed)), self.stored, self.codec as u8)
    }
}

/// Why LZ4 is taken for an image that has to fit nothing, for the reason `why`. It decodes a megabyte in 30 ms (8 instructions of two
/// cycles a byte at 500 MHz); a bootloader fetches one by TFTP in 100 ms at the speed of its cable, and most of them are slower.
pub(super) fn fetched(why: &str) -> String {
    format!("{why}; fetching the bytes that it saves takes longer than decoding")
}

/// Why the first of `wanted` that fits `partition` is taken, which is number `taken`; all are in the order of their ranks.
pub(super) fn why(wanted: &[Candidate], taken: usize, speed: Option<&Speed>, partition: &str) -> String {
    let Some(speed) = speed else {
        return format!(
            "the smallest, and it fits the flash partition {partition}; the board's data do not say both \
             flash.read-speed and cpu-clock, so speed does not count"
        );
    };
    let way = wanted[taken];
    let (reading, working) = way.times(speed);
    let mut text = format!(
        "{} read{} at {}/s + {} {} s = {} s",
        amount(way.stored as u64),
        if speed.times == 2 { " twice" } else { "" },
        amount(speed.read),
        if way.codec == Codec::Store { "copy" } else { "decode" },
        seconds(working),
        seconds(reading + working)
    );
    for (number, other) in wanted.iter().enumerate().filter(|(number, _)| *number != taken) {
        text += &format!("; {} would take {} s", other.codec.name(), seconds(other.time(speed)));
        if number < taken {
            text += &format!(", but does not fit the flash partition {partition}");
        }
    }
    text
}

fn amount(bytes: u64) -> String {
    match bytes {
        0..100_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

fn seconds(micros: u64) -> String {
    format!("{:.2}", micros as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 0x10_0000;

    /// A kernel as the one in docs/bench.md.
    fn ways(store: usize, lz4: usize, lzma: usize) -> Vec<Candidate> {
        let way = |codec, stored| Candidate { codec, stored, decoded: store };
        vec![way(Codec::Store, store), way(Codec::Lz4, lz4), way(Codec::Lzma, lzma)]
    }

    fn sorted(mut ways: Vec<Candidate>, speed: Option<&Speed>) -> Vec<Candidate> {
        ways.sort_by_key(|way| way.rank(speed));
        ways
    }

    fn order(ways: Vec<Candidate>, speed: Option<&Speed>) -> Vec<&'static str> {
        sorted(ways, speed).iter().map(|way| way.codec.name()).collect()
    }

    #[test]
    fn flash_and_cpu_decide_together() {
        let kernel = || ways(8 * MIB, 5 * MIB, 5 * MIB / 2);
        for (read, clock, times, wanted) in [
            // The slower the flash, the smaller; the slower the CPU, the less to do.
            (3_125_000, 650_000_000, 1, ["lz4", "lzma", "store"]),
            (3_125_000, 650_000_000, 2, ["lzma", "lz4", "store"]),
            (1_250_000, 880_000_000, 1, ["lzma", "lz4", "store"]),
            (10_000_000, 880_000_000, 1, ["lz4", "store", "lzma"]),
            (100_000_000, 650_000_000, 1, ["store", "lz4", "lzma"]),
            (1_250_000, 100_000_000, 1, ["lz4", "store", "lzma"]),
            // What is read twice is read at half the speed.
            (2_500_000, 880_000_000, 2, ["lzma", "lz4", "store"]),
        ] {
            let speed = Speed { read, clock, times };
            assert_eq!(order(kernel(), Some(&speed)), wanted, "{speed:?}");
        }
    }

    #[test]
    fn the_time_is_bytes_by_speed_and_instructions_by_clock() {
        let speed = Speed { read: 2_000_000, clock: 100_000_000, times: 2 };
        let way = Candidate { codec: Codec::Lzma, stored: 1_000_000, decoded: 4_000_000 };
        // 1 MB twice at 2 MB/s; 7 and 4 times 74 million instructions of two cycles at 100 MHz.
        assert_eq!(way.times(&speed), (1_000_000, (7 + 4 * 74) * 20_000));
        let way = Candidate { codec: Codec::Store, stored: 1_000_000, ..way };
        assert_eq!(way.times(&Speed { times: 1, ..speed }), (500_000, (7 + 4) * 20_000));
    }

    #[test]
    fn of_equal_times_the_smaller_is_taken_and_of_equal_bytes_the_one_with_less_to_do() {
        // A CPU that needs 0, 1 and 8 microseconds for a megabyte.
        let speed = Speed { read: 1_000_000, clock: u64::MAX / 1_000_000, times: 1 };
        let equal = ways(1_000_002, 1_000_001, 1_000_000);
        assert_eq!(equal.iter().map(|way| way.time(&speed)).collect::<Vec<_>>(), [1_000_002, 1_000_002, 1_000_008]);
        assert_eq!(order(equal, Some(&speed)), ["lz4", "store", "lzma"]);
        // And a flash that needs none for some bytes.
        let fast = Speed { read: u64::MAX / 1_000_000, ..speed };
        assert_eq!(order(ways(30, 20, 10), Some(&fast)), ["lzma", "lz4", "store"]);
        assert_eq!(order(ways(10, 10, 10), Some(&fast)), ["store", "lz4", "lzma"]);
        assert_eq!(order(ways(10, 10, 10), None), ["store", "lz4", "lzma"]);
    }

    #[test]
    fn without_the_boards_figures_only_bytes_count() {
        assert_eq!(order(ways(8 * MIB, 5 * MIB, 2 * MIB), None), ["lzma", "lz4", "store"]);
        assert_eq!(order(ways(2 * MIB, 2 * MIB + 1, 2 * MIB + 2), None), ["store", "lz4", "lzma"]);
        let text = why(&sorted(ways(8 * MIB, 5 * MIB, 2 * MIB), None), 0, None, "firmware");
        assert!(text.starts_with("the smallest, and it fits the flash partition firmware; the board's data"), "{text}");
    }

    #[test]
    fn the_reason_has_the_numbers_of_all_and_what_did_not_fit() {
        let speed = Speed { read: 3_000_000, clock: 650_000_000, times: 1 };
        let wanted = sorted(ways(6_000_000, 3_600_000, 1_900_000), Some(&speed));
        assert_eq!(
            why(&wanted, 0, Some(&speed), "firmware"),
            "3.6 MB read at 3.0 MB/s + decode 0.23 s = 1.43 s; lzma would take 2.04 s; store would take 2.15 s"
        );
        assert_eq!(
            why(&wanted, 1, Some(&Speed { times: 2, ..speed }), "firmware"),
            "1.9 MB read twice at 3.0 MB/s + decode 1.41 s = 2.67 s; lz4 would take 2.63 s, but does not fit the \
             flash partition firmware; store would take 4.15 s"
        );
        let small = sorted(ways(60_000, 70_000, 80_000), Some(&speed));
        assert_eq!(
            why(&small, 0, Some(&speed), "firmware"),
            "60.0 kB read at 3.0 MB/s + copy 0.00 s = 0.02 s; lz4 would take 0.03 s; lzma would take 0.04 s"
        );
    }

    /// MIPS', the longest of the two payloads there, and the worse byte order.
    #[test]
    fn the_instructions_are_those_of_the_benchmark_within_a_tenth() {
        let table = include_str!("../../../../docs/bench.md").split("## arm64").next().expect("a first part");
        let counted = |row: &str| {
            let line = table.lines().rfind(|line| line.starts_with(row)).expect(row);
            let figures =
                line.split('|').skip(2).take(2).map(|cell| cell.trim().trim_matches('*').parse::<f64>().expect(line));
            figures.fold(0.0, f64::max)
        };
        // shim/src/arch/mips/mem.S: memcpy takes 11 instructions for 16 bytes.
        let copying = 11.0 / 16.0;
        for (row, more, used) in [
            ("| CRC-32, per stored byte", copying, CHECKING),
            ("| LZ4, per byte", 0.0, delivering(Codec::Lz4)),
            ("| LZMA, per byte", 0.0, delivering(Codec::Lzma)),
        ] {
            let counted = counted(row) + more;
            assert!((counted / used as f64 - 1.0).abs() < 0.1, "{row}: {used}, counted {counted}");
        }
    }
}
