//! Which of the bootloader's words count: the cookie rule and the kept keys.

use crate::bootargs::{Line, word};
use crate::bytes::find;
use crate::names::Name;
use crate::params::{CookieRule, Params};

/// Judges `line`; for [`Name::Kept`] only the kept words are left of it.
///
/// Verdicts: [`Name::None`] without bootargs, [`Name::Accepted`], [`Name::Kept`], [`Name::Ignored`]. What counts may
/// still turn out too long for the kernel: [`Name::Refused`].
pub fn judge(line: &mut Line, params: &Params) -> Name {
    if line.is_empty() {
        Name::None
    } else if counts(line, params.cookie_rule(), params.cookie()) {
        Name::Accepted
    } else if keep(line, params.keep()) {
        Name::Kept
    } else {
        Name::Ignored
    }
}

fn counts(line: &[u8], rule: u8, cookie: &[u8]) -> bool {
    let mut at = 0usize;
    loop {
        let (start, end) = match rule {
            // As strstr() looks: at every byte.
            rule if rule == CookieRule::Contains as u8 => (at, at.wrapping_add(cookie.len())),
            rule if rule == CookieRule::Word as u8 => word(line, at),
            _ => return true,
        };
        match line.get(start..end) {
            Some(text) if !text.is_empty() => {
                if text == cookie {
                    return true;
                }
            }
            _ => return false,
        }
        at = if rule == CookieRule::Word as u8 { end } else { start.wrapping_add(1) };
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
pub fn is_kept(word: &[u8], mut keys: &[u8]) -> bool {
    while !keys.is_empty() {
        let (key, rest) = keys.split_at_checked(find(keys, 0)).unwrap_or((&[], &[]));
        if word.starts_with(key) && matches!(word.get(key.len()), None | Some(b'=')) {
            return true;
        }
        keys = rest.get(1..).unwrap_or(&[]);
    }
    false
}
