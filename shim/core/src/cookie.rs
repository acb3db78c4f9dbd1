//! Which of the bootloader's words count: the cookie rule and the kept keys.

use crate::bootargs::{Line, word};
use crate::names::Name;
use crate::params::{CookieRule, Params};

/// What becomes of the bootargs. The value is the number of its word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Verdict {
    /// Nobody passed any.
    None = Name::None as u8,
    /// The rule is met: the line passes.
    Accepted = Name::Accepted as u8,
    /// It is not met: nothing passes.
    Ignored = Name::Ignored as u8,
    /// It is not met: only the kept keys pass.
    Kept = Name::Kept as u8,
    /// What should pass does not fit: nothing does.
    Refused = Name::Refused as u8,
}

worded!(Verdict);

impl Verdict {
    /// The line, as it was left, becomes a part of the kernel's.
    pub fn passes(self) -> bool {
        matches!(self, Verdict::Accepted | Verdict::Kept)
    }
}

/// Judges `line`; for [`Verdict::Kept`] only the kept words are left of it.
///
/// Verdicts: [`Verdict::None`] without bootargs, [`Verdict::Accepted`], [`Verdict::Kept`], [`Verdict::Ignored`]. What counts may
/// still turn out too long for the kernel: [`Verdict::Refused`].
pub fn judge(line: &mut Line, params: &Params) -> Verdict {
    if line.is_empty() {
        Verdict::None
    } else if counts(line, params.cookie_rule(), params.cookie()) {
        Verdict::Accepted
    } else if keep(line, params.keep()) {
        Verdict::Kept
    } else {
        Verdict::Ignored
    }
}

/// Without a rule the cookie is empty, and anything contains that.
fn counts(line: &[u8], rule: CookieRule, cookie: &[u8]) -> bool {
    let mut at = 0usize;
    loop {
        let (start, mut end) = word(line, at);
        let mut text = line.get(start..end);
        if rule != CookieRule::Word {
            // As strstr() looks: at every byte.
            text = line.get(at..).and_then(|rest| rest.get(..cookie.len()));
            end = at.wrapping_add(1);
        } else if start == end {
            return false;
        }
        let Some(text) = text else { return false };
        if text == cookie {
            return true;
        }
        at = end;
    }
}

/// Moves the kept words to the front, one blank between them, and drops the rest; leaves a line without any alone.
fn keep(line: &mut Line, keys: &[u8]) -> bool {
    let (mut at, mut out) = (0, 0usize);
    loop {
        let (mut start, end) = word(line, at);
        if start == end {
            break;
        }
        at = end;
        if !is_kept(line.get(start..end).unwrap_or(&[]), keys) {
            continue;
        }
        // The blank in front of this word comes along, unless it is the first that is kept.
        if out != 0 {
            start = start.wrapping_sub(1);
        }
        while start != end {
            let byte = match line.get(start) {
                Some(b'\t') | None => b' ',
                Some(byte) => *byte,
            };
            if let Some(to) = line.get_mut(out) {
                *to = byte;
            }
            out = out.wrapping_add(1);
            start = start.wrapping_add(1);
        }
    }
    if out != 0 {
        line.truncate(out);
    }
    out != 0
}

/// The word is `key` or `key=value` for one of the keys, each ending with NUL.
pub fn is_kept(word: &[u8], keys: &[u8]) -> bool {
    let (mut at, mut same) = (0usize, true);
    for byte in keys {
        let other = word.get(at);
        at = at.wrapping_add(1);
        if *byte != 0 {
            same &= other == Some(byte);
            continue;
        }
        if same && matches!(other, None | Some(b'=')) {
            return true;
        }
        (at, same) = (0, true);
    }
    false
}
