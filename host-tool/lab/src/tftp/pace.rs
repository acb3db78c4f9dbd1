//! When to send: how long an answer may take before its blocks are sent again, and how fast the blocks of a window follow each
//! other. Times go in and come out; there is no clock here.

use std::time::Duration;

/// How long the first answer may take: the client has just asked, so it listens; if it takes longer, its options go twice, which does no
/// harm. A lost first packet costs all of this.
pub const FIRST: Duration = Duration::from_millis(100);

/// How long each answer may take at most. A client's own `timeout` is granted and not waited for: U-Boot asks for five seconds, so that
/// each lost window would cost as much.
pub const LONGEST: Duration = Duration::from_secs(1);

/// How much longer than the mean an answer may take however steady they are: the granularity of the clock (`G` of RFC 6298, section 2),
/// which is how late `poll` wakes this thread. That it is no more is on purpose: a block that is sent twice for nothing does no harm,
/// while U-Boot's `drivers/net/pcnet.c` loses several blocks of a thousand (`docs/desk.md`), and each of them costs all that is waited.
/// Slow boards are protected by the deviation of their answers, slower ones by the doubling.
const MARGIN: Duration = Duration::from_micros(250);

/// The same while nothing was lost. To wait for less than the kernel's next tick sets a timer with each block. With a window of one
/// the server was slower than dnsmasq by that (`docs/desk.md`), and a transfer that loses nothing has nothing of it.
const CALM_MARGIN: Duration = Duration::from_millis(25);

/// Silence for so long is more than a late answer. Until then a client is asked with one block, since whole windows would pile up in
/// front of one that does not run: U-Boot stops for good with 32 blocks on their way ([`super::MOST_BLOCKS`]), and once did so on a busy
/// machine when windows of eight were sent again each time.
const LATE: Duration = Duration::from_millis(250);

/// Between two blocks of a window after the first loss, and at most. Ethernet chips of bootloaders have as few as four receive buffers
/// (U-Boot `drivers/net/pcnet.c`), which a whole window overruns. A block takes 120 microseconds on a cable of 100 Mbit/s; a chip that
/// loses blocks for another reason must not be waited for with each of them.
const FIRST_GAP: Duration = Duration::from_micros(125);
const LONGEST_GAP: Duration = Duration::from_micros(500);

/// Up to so many blocks are never held back: whoever loses one of them loses it for another reason than their pace, and each wait of a
/// busy machine is longer than it was meant to be.
const SMALL_WINDOW: u16 = 2;

/// A gap that has shrunk below this is none: no clock wakes anybody so soon.
const SHORTEST_GAP: Duration = Duration::from_micros(50);

/// What a transfer has shown of its network and its client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pace {
    /// A whole window is more than every chip takes at once.
    is_burst: bool,
    /// The mean time to an answer and its mean deviation (RFC 6298, section 2); `None` before the first answer.
    answers: Option<(Duration, Duration)>,
    /// Nothing was lost, and no answer was late.
    is_calm: bool,
    patience: Duration,
    gap: Duration,
}

impl Pace {
    /// Of a transfer with a window of so many blocks.
    pub fn new(window: u16) -> Pace {
        Pace { is_burst: window > SMALL_WINDOW, answers: None, is_calm: true, patience: FIRST, gap: Duration::ZERO }
    }

    /// How long the present answer may take.
    pub fn patience(&self) -> Duration {
        self.patience
    }

    /// Whether the present answer would be more than late if it did not come in time.
    pub fn is_long(&self) -> bool {
        self.patience >= LATE
    }

    /// Between two blocks of a window.
    pub fn gap(&self) -> Duration {
        self.gap
    }

    /// A whole window was answered so long after its last block went. Not to be told of blocks that were sent twice: nobody knows which
    /// of the two the answer is for (RFC 6298, section 3).
    pub fn answered(&mut self, after: Duration) {
        let (mean, deviation) = match self.answers {
            None => (after, after / 2),
            Some((mean, deviation)) => ((mean * 7 + after) / 8, (deviation * 3 + mean.abs_diff(after)) / 4),
        };
        self.answers = Some((mean, deviation));
        let margin = if self.is_calm { CALM_MARGIN } else { MARGIN };
        self.patience = (mean + margin.max(deviation * 4)).min(LONGEST);
        self.gap -= self.gap / 8;
        if self.gap < SHORTEST_GAP {
            self.gap = Duration::ZERO;
        }
    }

    /// Some of a window was lost.
    pub fn lost(&mut self) {
        self.is_calm = false;
        if self.is_burst {
            self.gap = (self.gap * 2).clamp(FIRST_GAP, LONGEST_GAP);
        }
    }

    /// No answer came in time: the next may take twice as long. Perhaps nothing was lost, which the answers to come will say.
    pub fn unanswered(&mut self) {
        self.is_calm = false;
        self.patience = (self.patience * 2).min(LONGEST);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{CALM_MARGIN, FIRST, FIRST_GAP, LONGEST, LONGEST_GAP, MARGIN, Pace, SMALL_WINDOW};

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_first_answer_may_take_long_and_the_others_as_long_as_answers_take() {
        let mut pace = Pace::new(1);
        assert_eq!(pace.patience(), FIRST);
        for _ in 0..50 {
            pace.answered(100 * MS);
        }
        assert!(pace.patience() > 100 * MS && pace.patience() < 150 * MS, "{:?}", pace.patience());
        pace.answered(5 * LONGEST);
        assert_eq!(pace.patience(), LONGEST);
    }

    #[test]
    fn steady_answers_may_be_late_by_a_tick_and_after_a_loss_by_as_much_as_the_clock_is() {
        let losses: [fn(&mut Pace); 2] = [Pace::lost, Pace::unanswered];
        for lose in losses {
            let mut pace = Pace::new(1);
            let answer = |pace: &mut Pace| (0..50).for_each(|_| pace.answered(10 * MS));
            answer(&mut pace);
            assert_eq!(pace.patience(), 10 * MS + CALM_MARGIN);
            lose(&mut pace);
            answer(&mut pace);
            assert_eq!(pace.patience(), 10 * MS + MARGIN);
        }
    }

    #[test]
    fn silence_is_waited_for_twice_as_long_each_time_up_to_a_second() {
        let mut pace = Pace::new(1);
        pace.answered(10 * MS);
        let waits: Vec<Duration> = (0..8)
            .map(|_| {
                let patience = pace.patience();
                pace.unanswered();
                patience
            })
            .collect();
        assert_eq!(waits, [35, 70, 140, 280, 560, 1000, 1000, 1000].map(Duration::from_millis));
        pace.answered(10 * MS);
        assert!(pace.patience() < 30 * MS, "{:?}", pace.patience());
    }

    #[test]
    fn a_window_that_loses_blocks_is_sent_slower_and_faster_again_when_it_does_not() {
        let mut pace = Pace::new(8);
        pace.lost();
        assert_eq!(pace.gap(), FIRST_GAP);
        for _ in 0..10 {
            pace.lost();
        }
        assert_eq!(pace.gap(), LONGEST_GAP);
        for _ in 0..40 {
            pace.answered(MS);
        }
        assert_eq!(pace.gap(), Duration::ZERO);
    }

    #[test]
    fn silence_slows_no_window_since_the_answer_may_only_be_late() {
        let mut pace = Pace::new(8);
        pace.answered(MS);
        assert!(!pace.is_long());
        (0..10).for_each(|_| pace.unanswered());
        assert!(pace.is_long());
        assert_eq!(pace.gap(), Duration::ZERO);
    }

    #[test]
    fn a_small_window_is_never_held_back() {
        let mut pace = Pace::new(SMALL_WINDOW);
        pace.lost();
        pace.unanswered();
        assert_eq!(pace.gap(), Duration::ZERO);
    }
}
