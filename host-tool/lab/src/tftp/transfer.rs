//! One file on its way to one client, without a socket and without a clock.

use std::ops::Range;

use super::options::Granted;

/// How far a file is on its way.
///
/// Blocks count from 1; `acknowledged <= sent <= furthest` and `sent <= acknowledged + window`. On the wire their numbers wrap at 65536.
#[derive(Debug)]
pub struct Transfer {
    size: u64,
    granted: Granted,
    options: Options,
    acknowledged: u64,
    /// The last block that was sent and is not to be sent again.
    sent: u64,
    /// The last block that was ever sent.
    furthest: u64,
    /// The last block that was on its way when one went twice: an answer up to it may be for either.
    again: u64,
    /// Only one block goes until the client answers.
    asks: bool,
    /// The last block that the client asked for twice, so that it is sent again once and not for each copy of the question.
    repeated: Option<u64>,
}

/// The answer to the request's options, before the first block (RFC 2347).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Options {
    /// To be sent.
    Due,
    /// On its way; block 0 acknowledges it.
    Sent,
    /// Acknowledged, or there is nothing to answer.
    Done,
}

/// What a client's answer says of those before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// All that was on its way has arrived, and nothing of it went twice.
    Whole,
    /// Some of it was lost.
    Lost,
    /// Neither.
    Other,
}

/// What to send next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Send {
    /// The granted options.
    Options,
    /// A block: its number on the wire, and its place in the file. The last one is shorter than the others, perhaps empty.
    Block(u16, Range<u64>),
}

impl Transfer {
    /// Begins to send a file of `size` bytes.
    pub fn new(size: u64, granted: Granted) -> Transfer {
        let options = if granted.words().next().is_some() { Options::Due } else { Options::Done };
        Transfer {
            size,
            granted,
            options,
            acknowledged: 0,
            sent: 0,
            furthest: 0,
            again: 0,
            asks: false,
            repeated: None,
        }
    }

    /// Whether there is a packet to send before the client answers.
    pub fn is_due(&self) -> bool {
        match self.options {
            Options::Due => true,
            Options::Sent => false,
            Options::Done => {
                let window = if self.asks { 1 } else { self.granted.window() };
                self.sent < self.last().min(self.acknowledged + u64::from(window))
            }
        }
    }

    /// The next packet to send; `None` until the client answers.
    pub fn due(&mut self) -> Option<Send> {
        if !self.is_due() {
            return None;
        }
        if self.options == Options::Due {
            self.options = Options::Sent;
            return Some(Send::Options);
        }
        let begin = self.sent * self.block_size();
        self.sent += 1;
        self.furthest = self.furthest.max(self.sent);
        Some(Send::Block(self.sent as u16, begin..self.size.min(begin + self.block_size())))
    }

    /// The client has this block and all before it.
    pub fn acknowledge(&mut self, block: u16) -> Answer {
        match self.options {
            Options::Sent if block == 0 => {
                self.options = Options::Done;
                return Answer::Other;
            }
            Options::Done => {}
            Options::Due | Options::Sent => return Answer::Other,
        }
        let further = u64::from(block.wrapping_sub(self.acknowledged as u16));
        let acknowledged = self.acknowledged + further;
        // An answer to a block that was sent before, which came late.
        if acknowledged > self.furthest {
            return Answer::Other;
        }
        if further > 0 {
            // In the middle of a window it says that the next block was lost. Two such answers may come at once: the second then
            // goes beyond what is to be sent again.
            let (is_within, is_clear) = (acknowledged < self.sent, self.acknowledged >= self.again);
            let asked = std::mem::take(&mut self.asks);
            self.acknowledged = acknowledged;
            if !is_within {
                self.sent = acknowledged;
                return match (is_clear, asked && acknowledged < self.furthest) {
                    (true, _) => Answer::Whole,
                    (false, true) => Answer::Lost,
                    (false, false) => Answer::Other,
                };
            }
            // When its blocks went twice, the rest is on its way already: U-Boot (`net/tftp.c`) answers the first duplicate with the
            // last good block, and counts on from there to its next answer. Going back once more would send it one duplicate in each
            // window for ever. If something was lost again, silence tells.
            if is_clear {
                self.send_again();
            }
            return Answer::Lost;
        }
        // With a window of one, sending again for each copy of an answer would double every packet from then on (RFC 1123,
        // 4.2.3.1). So it would with a larger one whose blocks went twice: the second answer is for the second time.
        let is_for_copies = self.granted.window() == 1 || (1..=self.again).contains(&acknowledged);
        if !is_for_copies && self.repeated != Some(acknowledged) {
            // The first block of the window was lost.
            self.repeated = Some(acknowledged);
            self.send_again();
            return Answer::Lost;
        }
        Answer::Other
    }

    /// Everything without an answer is to be sent again.
    fn send_again(&mut self) {
        self.again = self.furthest;
        self.sent = self.acknowledged;
        self.asks = false;
    }

    /// Nothing came for as long as an answer usually takes: the first block without one is to be sent again, to which a client that
    /// has it answers how far it is. One that is only slow gets no second window behind the first.
    pub fn ask(&mut self) {
        self.repeat();
        self.asks = true;
    }

    /// Nothing came for long: everything without an answer is to be sent again.
    pub fn repeat(&mut self) {
        self.send_again();
        self.repeated = None;
        if self.options == Options::Sent {
            self.options = Options::Due;
        }
    }

    /// Bytes that the client has.
    pub fn acknowledged(&self) -> u64 {
        self.size.min(self.acknowledged * self.block_size())
    }

    /// The client has the last block.
    pub fn is_done(&self) -> bool {
        self.acknowledged == self.last()
    }

    /// What the client gets.
    pub fn granted(&self) -> &Granted {
        &self.granted
    }

    fn block_size(&self) -> u64 {
        self.granted.block_size().into()
    }

    /// The number of the block that ends the file by being short.
    fn last(&self) -> u64 {
        self.size / self.block_size() + 1
    }
}

#[cfg(test)]
mod tests {
    use super::super::options::Asked;
    use super::{Answer, Send, Transfer};

    fn transfer(size: u64, window: Option<u16>, block_size: Option<u16>) -> Transfer {
        Transfer::new(size, Asked { window, block_size, ..Asked::default() }.grant(size))
    }

    /// The numbers of the blocks that are sent now.
    fn blocks(transfer: &mut Transfer) -> Vec<u16> {
        std::iter::from_fn(|| transfer.due())
            .map(|sent| match sent {
                Send::Block(number, _) => number,
                Send::Options => panic!("options"),
            })
            .collect()
    }

    fn begun(size: u64, window: u16) -> Transfer {
        let mut transfer = transfer(size, Some(window), None);
        assert_eq!(transfer.due(), Some(Send::Options));
        assert_eq!(transfer.due(), None);
        transfer.acknowledge(0);
        transfer
    }

    #[test]
    fn without_options_the_first_block_is_the_answer() {
        let mut transfer = transfer(513, None, None);
        assert_eq!(transfer.due(), Some(Send::Block(1, 0..512)));
        assert_eq!(transfer.due(), None);
        transfer.acknowledge(1);
        assert_eq!(transfer.due(), Some(Send::Block(2, 512..513)));
        transfer.acknowledge(2);
        assert!(transfer.is_done());
    }

    #[test]
    fn a_file_of_whole_blocks_ends_with_an_empty_one() {
        let mut transfer = transfer(512, None, None);
        assert_eq!(transfer.due(), Some(Send::Block(1, 0..512)));
        transfer.acknowledge(1);
        assert!(!transfer.is_done());
        assert_eq!(transfer.due(), Some(Send::Block(2, 512..512)));
    }

    #[test]
    fn block_numbers_wrap() {
        let size = 512 * 65536 + 1;
        let mut transfer = transfer(size, None, None);
        for number in 1..=65535 {
            assert_eq!(blocks(&mut transfer), [number]);
            transfer.acknowledge(number);
        }
        assert_eq!(transfer.due(), Some(Send::Block(0, 512 * 65535..512 * 65536)));
        transfer.acknowledge(0);
        assert_eq!(transfer.due(), Some(Send::Block(1, 512 * 65536..size)));
        transfer.acknowledge(1);
        assert!(transfer.is_done());
        assert_eq!(transfer.acknowledged(), size);
    }

    #[test]
    fn a_window_is_sent_whole_and_answered_once() {
        let mut transfer = begun(5000, 4);
        assert_eq!(blocks(&mut transfer), [1, 2, 3, 4]);
        transfer.acknowledge(4);
        assert_eq!(blocks(&mut transfer), [5, 6, 7, 8]);
        assert_eq!(transfer.acknowledged(), 2048);
    }

    #[test]
    fn an_answer_within_a_window_goes_on_behind_it() {
        let mut transfer = begun(5000, 4);
        assert_eq!(blocks(&mut transfer), [1, 2, 3, 4]);
        transfer.acknowledge(2);
        assert_eq!(blocks(&mut transfer), [3, 4, 5, 6]);
    }

    #[test]
    fn an_answer_counts_as_whole_when_nothing_of_it_went_twice() {
        let mut transfer = begun(10_000, 4);
        blocks(&mut transfer);
        assert_eq!(transfer.acknowledge(4), Answer::Whole);
        blocks(&mut transfer);
        transfer.repeat();
        blocks(&mut transfer);
        assert_eq!(transfer.acknowledge(8), Answer::Other, "for the first or the second time they were sent");
        blocks(&mut transfer);
        assert_eq!(transfer.acknowledge(12), Answer::Whole);
    }

    #[test]
    fn an_answer_within_a_window_that_went_twice_only_slides_it_on() {
        let mut transfer = begun(5000, 2);
        assert_eq!(blocks(&mut transfer), [1, 2]);
        transfer.repeat();
        assert_eq!(blocks(&mut transfer), [1, 2]);
        assert_eq!(transfer.acknowledge(1), Answer::Lost, "it had the first, and counts two blocks on from there");
        assert_eq!(blocks(&mut transfer), [3]);
        assert_eq!(transfer.acknowledge(3), Answer::Other);
        assert_eq!(blocks(&mut transfer), [4, 5]);
        assert_eq!(transfer.acknowledge(4), Answer::Lost, "these went once");
        assert_eq!(blocks(&mut transfer), [5, 6]);
    }

    #[test]
    fn a_window_that_went_twice_may_be_answered_twice_and_the_next_one_goes_once() {
        let mut transfer = begun(5000, 2);
        blocks(&mut transfer);
        transfer.repeat();
        blocks(&mut transfer);
        transfer.acknowledge(2);
        assert_eq!(blocks(&mut transfer), [3, 4]);
        assert_eq!(transfer.acknowledge(2), Answer::Other);
        assert_eq!(blocks(&mut transfer), [0_u16; 0]);
        assert_eq!(transfer.acknowledge(4), Answer::Whole);
        assert_eq!(blocks(&mut transfer), [5, 6]);
        assert_eq!(transfer.acknowledge(4), Answer::Lost, "nothing before it went twice: the fifth is missing");
        assert_eq!(blocks(&mut transfer), [5, 6]);
    }

    #[test]
    fn a_question_is_one_block_and_its_answer_says_where_to_go_on() {
        for (answer, is, next) in
            [(2, Answer::Lost, [3, 4, 5, 6]), (4, Answer::Other, [5, 6, 7, 8]), (1, Answer::Lost, [2, 3, 4, 5])]
        {
            let mut transfer = begun(5000, 4);
            blocks(&mut transfer);
            transfer.ask();
            assert_eq!(blocks(&mut transfer), [1]);
            transfer.ask();
            assert_eq!(blocks(&mut transfer), [1], "silence again");
            assert_eq!(transfer.acknowledge(answer), is);
            assert_eq!(blocks(&mut transfer), next);
        }
    }

    #[test]
    fn after_a_question_that_was_not_needed_each_block_goes_once() {
        let mut transfer = begun(5000, 4);
        blocks(&mut transfer);
        transfer.ask();
        blocks(&mut transfer);
        transfer.acknowledge(4);
        assert_eq!(blocks(&mut transfer), [5, 6, 7, 8]);
        assert_eq!(transfer.acknowledge(4), Answer::Other, "the answer to the question");
        assert_eq!(blocks(&mut transfer), [0_u16; 0]);
        assert_eq!(transfer.acknowledge(8), Answer::Whole);
    }

    #[test]
    fn what_is_lost_a_second_time_is_sent_again_after_silence() {
        let mut transfer = begun(5000, 4);
        blocks(&mut transfer);
        assert_eq!(transfer.acknowledge(1), Answer::Lost);
        assert_eq!(blocks(&mut transfer), [2, 3, 4, 5]);
        transfer.acknowledge(2);
        assert_eq!(blocks(&mut transfer), [6], "the window slides");
        transfer.repeat();
        assert_eq!(blocks(&mut transfer), [3, 4, 5, 6]);
    }

    #[test]
    fn two_answers_within_a_window_at_once_go_on_behind_the_second() {
        let mut transfer = begun(5000, 4);
        assert_eq!(blocks(&mut transfer), [1, 2, 3, 4]);
        assert_eq!(transfer.acknowledge(1), Answer::Lost, "2 was lost");
        transfer.acknowledge(3);
        assert_eq!(blocks(&mut transfer), [4, 5, 6, 7]);
    }

    #[test]
    fn a_windows_lost_first_block_is_sent_again_once() {
        let mut transfer = begun(5000, 4);
        assert_eq!(blocks(&mut transfer), [1, 2, 3, 4]);
        transfer.acknowledge(0);
        assert_eq!(blocks(&mut transfer), [1, 2, 3, 4]);
        transfer.acknowledge(0);
        assert_eq!(blocks(&mut transfer), [0_u16; 0], "copies of an answer are no new questions");
        transfer.repeat();
        assert_eq!(blocks(&mut transfer), [1, 2, 3, 4], "silence is");
    }

    #[test]
    fn without_a_window_a_copy_of_an_answer_is_ignored() {
        let mut transfer = transfer(5000, None, None);
        blocks(&mut transfer);
        transfer.acknowledge(1);
        assert_eq!(blocks(&mut transfer), [2]);
        transfer.acknowledge(1);
        assert_eq!(blocks(&mut transfer), [0_u16; 0]);
    }

    #[test]
    fn an_answer_to_what_was_never_sent_is_ignored() {
        let mut transfer = begun(5000, 4);
        assert_eq!(blocks(&mut transfer), [1, 2, 3, 4]);
        for block in [5, 10, 65535] {
            transfer.acknowledge(block);
            assert_eq!(transfer.acknowledged(), 0, "{block}");
        }
    }

    #[test]
    fn options_without_an_answer_are_sent_again() {
        let mut transfer = transfer(5000, Some(4), Some(1024));
        assert_eq!(transfer.due(), Some(Send::Options));
        transfer.acknowledge(1);
        assert_eq!(transfer.due(), None, "no block was sent");
        transfer.repeat();
        assert_eq!(transfer.due(), Some(Send::Options));
    }

    #[test]
    fn an_empty_file_is_one_empty_block() {
        let mut transfer = transfer(0, None, None);
        assert_eq!(transfer.due(), Some(Send::Block(1, 0..0)));
        transfer.acknowledge(1);
        assert!(transfer.is_done());
    }
}
