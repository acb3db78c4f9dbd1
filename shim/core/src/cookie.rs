//! Which of the bootloader's words count: the cookie rule and the kept keys.

use crate::bootargs::{LIMIT, Line, MAX_LINE, is_control, word};
use crate::bytes::{behind, find};
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
    /// Nothing passes, for a [`Refusal`].
    Refused = Name::Refused as u8,
}

worded!(Verdict);

impl Verdict {
    /// The line, as it was left, becomes a part of the kernel's.
    pub fn passes(self) -> bool {
        matches!(self, Verdict::Accepted | Verdict::Kept)
    }
}

/// Why a line is refused. The value is the number of its words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Refusal {
    /// What should pass does not fit the kernel's line, or the whole is longer than any line.
    TooLong = Name::TooLong as u8,
    /// It has control characters.
    Control = Name::Control as u8,
    /// It is in RAM that the params do not know.
    Unreadable = Name::Unreadable as u8,
}

worded!(Refusal);

/// What becomes of the bootargs, and why if that needs a reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// With [`Verdict::Refused`].
    pub refusal: Option<Refusal>,
}

impl Judgement {
    /// Nobody passed any.
    pub const NONE: Judgement = Judgement { verdict: Verdict::None, refusal: None };

    /// Nothing passes, for that reason.
    pub fn refused(why: Refusal) -> Self {
        Judgement { verdict: Verdict::Refused, refusal: Some(why) }
    }
}

impl From<Verdict> for Judgement {
    fn from(verdict: Verdict) -> Self {
        Judgement { verdict, refusal: None }
    }
}

/// Judges the bootloader's line, `passed`, all of it if it `ends`. `line` becomes what passes; when nothing does, as much of the front
/// as it can hold, to be shown.
///
/// What counts may still turn out too long behind the kernel's own line.
pub fn judge(passed: &[u8], ends: bool, params: &Params, line: &mut Line) -> Judgement {
    line.clear();
    let mut control = false;
    for byte in passed.iter().take(LIMIT) {
        control |= is_control(*byte);
        let _ = line.push(*byte);
    }
    if passed.is_empty() {
        Judgement::NONE
    } else if control {
        Judgement::refused(Refusal::Control)
    } else if !ends || passed.len() > LIMIT {
        Judgement::refused(Refusal::TooLong)
    } else if !counts(passed, params.cookie_rule(), params.cookie()) {
        keep(passed, params.keep(), line)
    } else if passed.len() > MAX_LINE {
        Judgement::refused(Refusal::TooLong)
    } else {
        Verdict::Accepted.into()
    }
}

fn counts(mut line: &[u8], rule: CookieRule, cookie: &[u8]) -> bool {
    if rule == CookieRule::Word {
        while let Some(word) = word(&mut line) {
            if behind(word, cookie) == Some(&[]) {
                return true;
            }
        }
        return false;
    }
    // As strstr() looks: at every byte. Without a rule the cookie is empty, and anything contains that.
    while behind(line, cookie).is_none() {
        let Some((_, rest)) = line.split_first() else { return false };
        line = rest;
    }
    true
}

/// Makes `line` of the kept words, one blank between them and a blank for every tab; without any it stays as it is.
fn keep(mut passed: &[u8], keys: &[u8], line: &mut Line) -> Judgement {
    let (mut verdict, mut fits) = (Verdict::Ignored, true);
    while let Some(word) = word(&mut passed) {
        if !is_kept(word, keys) {
            continue;
        }
        if verdict == Verdict::Kept {
            fits &= line.push(b' ').is_ok();
        } else {
            verdict = Verdict::Kept;
            line.clear();
        }
        for byte in word {
            fits &= line.push(if *byte == b'\t' { b' ' } else { *byte }).is_ok();
        }
    }
    if fits { verdict.into() } else { Judgement::refused(Refusal::TooLong) }
}

/// The word is `key` or `key=value` for one of the keys, each ending with NUL.
fn is_kept(word: &[u8], mut keys: &[u8]) -> bool {
    while let Some((key, rest)) = keys.split_at_checked(find(keys, 0))
        && let Some((_, next)) = rest.split_first()
    {
        if let Some([] | [b'=', ..]) = behind(word, key) {
            return true;
        }
        keys = next;
    }
    false
}
