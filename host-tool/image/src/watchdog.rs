//! What is done about a board's watchdog: from `--watchdog` and the board's data to writes in the shim's params, and what
//! to say about the time it leaves.

mod error;

use std::fmt;
use std::str::FromStr;

use stoop_core::params::Params;
use stoop_core::watchdog::{Care, EVERY, Moment, Write};

use crate::board::{Board, Register};
use crate::kconfig::Kconfig;
pub use error::Error;

use crate::Result;

/// Of the time that a watchdog leaves, the part that an estimate may fill before it is too close: estimates are coarse.
const MARGIN: f64 = 0.5;

/// What the user wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WatchdogChoice {
    /// Feed it while the shim works.
    Feed,
    /// Stop it.
    Stop,
    /// Start it with so many seconds.
    Start(u32),
    /// Do nothing.
    Leave,
}

impl FromStr for WatchdogChoice {
    type Err = String;

    fn from_str(word: &str) -> std::result::Result<Self, String> {
        match (word, word.strip_prefix("start:").map(str::parse)) {
            ("feed", _) => Ok(WatchdogChoice::Feed),
            ("stop", _) => Ok(WatchdogChoice::Stop),
            ("leave", _) => Ok(WatchdogChoice::Leave),
            (_, Some(Ok(seconds @ 1..))) => Ok(WatchdogChoice::Start(seconds)),
            _ => Err("give feed, stop, leave, or start: and seconds, as start:30".into()),
        }
    }
}

impl fmt::Display for WatchdogChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WatchdogChoice::Feed => f.pad("feed"),
            WatchdogChoice::Stop => f.pad("stop"),
            WatchdogChoice::Leave => f.pad("leave"),
            WatchdogChoice::Start(seconds) => f.pad(&format!("start:{seconds}")),
        }
    }
}

/// What the shim will do.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    /// In one word.
    pub care: Care,
    /// With how many seconds it is started; 0 unless it is.
    pub seconds: u32,
    /// At the beginning.
    pub begin: Vec<Write>,
    /// While it works.
    pub feed: Vec<Write>,
    /// Before a return to the bootloader.
    pub back: Vec<Write>,
}

impl Plan {
    /// By what the user wants, if anything: a watchdog that can be fed is fed unless they say otherwise, since feeding one
    /// that does not run has no effect.
    ///
    /// # Errors
    /// The board's data cannot do it.
    pub fn resolve(choice: Option<WatchdogChoice>, board: &Board) -> Result<Plan> {
        let Some(dog) = &board.watchdog else {
            return match choice {
                None | Some(WatchdogChoice::Leave) => Ok(Plan::default()),
                Some(choice) => Err(Error::None { choice: choice.to_string(), board: board.name.clone() }.into()),
            };
        };
        let can_be_fed = !dog.feed.is_empty();
        let cannot = |asked, done| {
            Err(Error::Unknown { asked, done, dog: dog.title.clone(), board: board.name.clone(), can_be_fed }.into())
        };
        let longest = dog.longest.unwrap_or(0);
        let fed = |seconds| writes(&dog.feed, seconds);
        match choice {
            None if dog.feed.is_empty() => Ok(Plan::default()),
            Some(WatchdogChoice::Leave) => Ok(Plan::default()),
            Some(WatchdogChoice::Feed) if dog.feed.is_empty() => cannot("feed", "fed"),
            None | Some(WatchdogChoice::Feed) => Ok(Plan { care: Care::Feed, feed: fed(longest), ..Plan::default() }),
            Some(WatchdogChoice::Stop) if dog.stop.is_empty() => cannot("stop", "stopped"),
            Some(WatchdogChoice::Stop) => Ok(Plan { care: Care::Stop, begin: writes(&dog.stop, 0), ..Plan::default() }),
            Some(WatchdogChoice::Start(_)) if dog.start.is_empty() => cannot("start", "started"),
            Some(WatchdogChoice::Start(seconds)) if seconds > longest => {
                Err(Error::TooLong { seconds, dog: dog.title.clone(), board: board.name.clone(), longest }.into())
            }
            Some(WatchdogChoice::Start(seconds)) => Ok(Plan {
                care: Care::Start,
                seconds,
                begin: writes(&dog.start, seconds),
                feed: fed(seconds),
                back: writes(&dog.stop, 0),
            }),
        }
    }

    /// What the user should know. `config` is the kernel's, `work` are the seconds until the kernel starts, if the board's data tell.
    pub fn warnings(&self, board: &Board, config: Option<&Kconfig>, work: Option<f64>) -> Vec<String> {
        let mut warnings = Vec::new();
        let period = board.bootloader.watchdog.filter(|seconds| *seconds != 0);
        let name = board.watchdog.as_ref().map_or("a watchdog", |dog| dog.title.as_str());
        if let (Care::Leave, Some(period)) = (self.care, period) {
            let feed = match &board.watchdog {
                Some(dog) if !dog.feed.is_empty() => "`--watchdog feed` feeds it",
                _ => "the board's data do not say how to feed it: boards/README.md",
            };
            match work {
                Some(work) if work >= f64::from(period) => warnings.push(format!(
                    "{name} runs when {} starts the image and fires after {period} s, and nobody feeds it while \
                     the shim checks and decodes for about {work:.1} s: the board resets before the kernel runs; {feed}",
                    board.bootloader.name
                )),
                Some(work) if work >= f64::from(period) * MARGIN => warnings.push(format!(
                    "{name} runs when {} starts the image and fires after {period} s, and nobody feeds it while \
                     the shim checks and decodes for about {work:.1} s, which is close; {feed}",
                    board.bootloader.name
                )),
                Some(_) => {}
                None => warnings.push(format!(
                    "{name} runs when {} starts the image and fires after {period} s, and nobody feeds it; how long \
                     the shim works is not known without cpu-clock and flash.read-speed; {feed}",
                    board.bootloader.name
                )),
            }
        }
        let left = match self.care {
            Care::Start => Some(self.seconds),
            Care::Stop => None,
            Care::Leave | Care::Feed => period,
        };
        if let (Some(left), Some(dog)) = (left, &board.watchdog)
            && let (Some(driver), Some(config)) = (&dog.driver, config)
            && !config.get(driver).is_enabled()
        {
            warnings.push(format!(
                "{name} runs when the kernel starts and fires {left} s later, but the kernel has no driver for it \
                 (CONFIG_{driver})"
            ));
        }
        warnings
    }
}

fn writes(registers: &[Register], seconds: u32) -> Vec<Write> {
    let write = |register: &Register| Write {
        address: register.address,
        keep: register.keep,
        flip: register.value.wrapping_add(register.per_second.wrapping_mul(seconds)),
    };
    registers.iter().map(write).collect()
}

/// What a shim with these params does, for people.
pub fn told(params: &Params<'_>) -> Option<String> {
    let write = |write: Write| match write.keep {
        0 => format!("0x{:x} to 0x{:08x}", write.flip, write.address),
        u32::MAX => format!("bits 0x{:x} of 0x{:08x} inverted", write.flip, write.address),
        keep => format!("0x{:x} to the bits 0x{:x} of 0x{:08x}", write.flip, !keep, write.address),
    };
    let all = |moment| {
        let mut found = Vec::new();
        params.watchdog(moment, &mut |done| found.push(write(done)));
        found.join(", ")
    };
    let fed = || format!("fed for every 0x{EVERY:x} bytes: {}", all(Moment::Feed));
    Some(match params.care() {
        Care::Leave => return None,
        Care::Feed => format!("{}; not after a failure", fed()),
        Care::Stop => format!("stopped: {}", all(Moment::Begin)),
        Care::Start => format!("started: {}; {}; not after a failure", all(Moment::Begin), fed()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Explained as _;
    use crate::board;

    fn refused(choice: &str, board: &Board) -> String {
        let failure = Plan::resolve(Some(choice.parse().unwrap()), board).expect_err(choice);
        format!("{failure} | {}", failure.next_step().unwrap_or_default())
    }

    #[test]
    fn a_choice_is_a_word_or_start_and_seconds() {
        for word in ["feed", "stop", "leave", "start:1", "start:30"] {
            assert_eq!(word.parse::<WatchdogChoice>().unwrap().to_string(), word);
        }
        for word in ["", "start", "start:", "start:0", "start:-1", "start:x", "Feed", "start:5s", "start:4294967296"] {
            assert!(word.parse::<WatchdogChoice>().is_err(), "{word}");
        }
    }

    /// The drivers' own figures: mt7621_wdt.c, ath79_wdt.c, rt2880_wdt.c, mtk_wdt.c of Linux 6.12.
    #[test]
    fn the_writes_are_those_of_linuxs_drivers() {
        let start = |name: &str, seconds| {
            let plan = Plan::resolve(Some(WatchdogChoice::Start(seconds)), &board::load(name).unwrap()).unwrap();
            assert_eq!(plan.care, Care::Start);
            let line = |write: &Write| format!("{:08x} {:08x} {:08x}", write.address, write.keep, write.flip);
            let lines = |writes: &[Write]| writes.iter().map(line).collect::<Vec<_>>().join(", ");
            format!("{}; {}; {}", lines(&plan.begin), lines(&plan.feed), lines(&plan.back))
        };
        assert_eq!(
            start("edgerouter-x", 30),
            "1e000120 00000000 03e80000, 1e000124 00000000 00007530, 1e000100 00000000 00000200, \
             1e000120 00000000 03e80080; 1e000100 00000000 00000200; 1e000120 ffffff7f 00000000"
        );
        assert_eq!(
            start("gl-ar750", 15),
            "1806000c 00000000 b2d05e00, 18060008 00000000 00000003; 1806000c 00000000 b2d05e00; \
             18060008 00000000 00000000"
        );
        assert_eq!(
            start("belkin-rt3200", 31),
            "10212004 00000000 0000f808, 10212008 00000000 00001971, 10212000 00ffffb6 22000001; \
             10212008 00000000 00001971; 10212000 00fffffe 22000000"
        );
        assert_eq!(
            start("gl-mt300a", 10),
            "10000128 ffffff40 0000003f, 10000120 00000000 000017d4, 10000128 ffffff7f 00000080; \
             10000120 00000000 000017d4; 10000128 ffffff7f 00000000"
        );
    }

    #[test]
    fn without_a_choice_what_can_be_fed_is_fed_with_the_longest_time() {
        let plan = Plan::resolve(None, &board::load("gl-ar750").unwrap()).unwrap();
        assert_eq!((plan.care, plan.begin.len(), plan.back.len()), (Care::Feed, 0, 0));
        assert_eq!(plan.feed, [Write { address: 0x1806_000c, keep: 0, flip: 21 * 200_000_000 }]);
        // A pin that somebody looks at: its level changes.
        let plan = Plan::resolve(None, &board::load("librerouter-v1").unwrap()).unwrap();
        assert_eq!(plan.feed, [Write { address: 0x1804_0008, keep: u32::MAX, flip: 4 }]);
        assert_eq!(Plan::resolve(None, &board::load("qemu-malta-le").unwrap()).unwrap(), Plan::default());
    }

    #[test]
    fn what_the_boards_data_cannot_do_is_refused_with_what_to_do() {
        let (malta, router) = (board::load("qemu-malta-be").unwrap(), board::load("librerouter-v1").unwrap());
        let ath79 = board::load("gl-ar750").unwrap();
        for choice in ["feed", "stop", "start:10"] {
            assert_eq!(
                refused(choice, &malta),
                format!(
                    "--watchdog {choice}: the data of qemu-malta-be name no watchdog | add `watchdog` to a board file of \
                     your own (boards/README.md), or give `--watchdog leave`"
                )
            );
        }
        assert!(refused("stop", &router).contains("cannot be stopped"), "{}", refused("stop", &router));
        assert!(refused("start:1", &router).contains("cannot be started"));
        assert!(refused("start:1", &router).ends_with("| give `--watchdog feed`, or `--watchdog leave`"));
        assert!(refused("start:22", &ath79).ends_with("counts 21 s at most | give 1 to 21 seconds"));
    }

    #[test]
    fn a_running_watchdog_that_nobody_feeds_is_warned_of_by_its_time() {
        let board = board::load("librerouter-v1").unwrap();
        let said = |choice, work| {
            let plan = Plan::resolve(Some(choice), &board).unwrap();
            plan.warnings(&board, None, work).join("\n")
        };
        assert!(
            said(WatchdogChoice::Leave, Some(1.2)).contains("for about 1.2 s: the board resets before the kernel runs")
        );
        assert!(said(WatchdogChoice::Leave, Some(0.6)).contains("which is close; `--watchdog feed` feeds it"));
        assert_eq!(said(WatchdogChoice::Leave, Some(0.4)), "");
        assert!(said(WatchdogChoice::Leave, None).contains("not known without cpu-clock and flash.read-speed"));
        assert_eq!(said(WatchdogChoice::Feed, Some(100.0)), "");
    }

    #[test]
    fn a_watchdog_that_runs_on_into_the_kernel_wants_its_driver() {
        let board = board::load("gl-ar750").unwrap();
        let plan = Plan::resolve(Some(WatchdogChoice::Start(20)), &board).unwrap();
        let said =
            |config: &str| plan.warnings(&board, Some(&Kconfig::parse(config, "t").unwrap()), Some(3.0)).join("\n");
        assert!(said("CONFIG_MIPS=y\n").ends_with("(CONFIG_ATH79_WDT)"), "{}", said("CONFIG_MIPS=y\n"));
        assert!(said("# CONFIG_ATH79_WDT is not set\n").contains("fires 20 s later"));
        assert_eq!(said("CONFIG_ATH79_WDT=y\n") + &said("CONFIG_ATH79_WDT=m\n"), "");
    }
}
