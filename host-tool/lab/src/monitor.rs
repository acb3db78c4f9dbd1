//! A console with what a traced shim says on it: frames become lines, every other byte stays as it is.
//!
//! `shim/src/trace.rs` writes the frames: 0, [`TRACE_MARK`] and the machine in one byte, two bytes that say whose strings they
//! need ([`number`]), rzCOBS, in which no byte is 0, 0, and the end of a line. A frame that was cut or that is damaged is shown as
//! the bytes that came, and the next one is found by its mark.

use std::sync::OnceLock;
use stoop_image::machine::Machine;

use defmt_decoder::Table;
use stoop_core::manifest::TRACE_MARK;

use stoop_image::shim_image::strings::number;
use stoop_image::shim_image::{Variant, prebuilt};

/// Bytes of a frame that the shim can write are fewer, its mark included: the longest holds a cookie.
const LONGEST: usize = 1024;

/// What all decoded lines begin with.
const SAYS: &str = "stoop trace";

/// A console that is being read.
#[derive(Default)]
pub struct Monitor {
    /// The beginning of what may be a frame.
    held: Vec<u8>,
    place: Place,
    /// The last byte that was shown did not end a line.
    in_line: bool,
}

#[derive(Default)]
enum Place {
    #[default]
    Text,
    /// From the 0 of a mark to the one that ends the frame.
    Frame,
    /// The end of a line comes with a frame.
    Behind,
}

impl Monitor {
    /// Takes bytes as they come; gives what there is to show.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len());
        bytes.iter().for_each(|byte| self.take(*byte, &mut out));
        out
    }

    /// What is left when no more bytes come.
    pub fn end(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        self.give_up(&mut out);
        out
    }

    fn take(&mut self, byte: u8, out: &mut Vec<u8>) {
        if let Place::Behind = self.place {
            if byte == b'\r' {
                return;
            }
            self.place = Place::Text;
            if byte == b'\n' {
                return;
            }
        }
        match (&self.place, byte) {
            (Place::Frame, 0) => match self.decoded() {
                Some(line) => {
                    if self.in_line {
                        out.extend(b"\r\n");
                    }
                    out.extend(format!("{SAYS} {line}\r\n").bytes());
                    self.in_line = false;
                    self.held.clear();
                    self.place = Place::Behind;
                }
                // What was a frame's beginning is text; this may be the next one's.
                None => {
                    self.give_up(out);
                    self.hold(byte);
                }
            },
            (Place::Frame, _) => {
                self.held.push(byte);
                let marked = self.held.len() > 2 || machine(byte).is_some();
                if !marked || self.held.len() > LONGEST {
                    self.give_up(out);
                }
            }
            (_, 0) => self.hold(byte),
            _ => self.show(byte, out),
        }
    }

    fn hold(&mut self, byte: u8) {
        self.held.push(byte);
        self.place = Place::Frame;
    }

    fn give_up(&mut self, out: &mut Vec<u8>) {
        std::mem::take(&mut self.held).into_iter().for_each(|byte| self.show(byte, out));
        self.place = Place::Text;
    }

    fn show(&mut self, byte: u8, out: &mut Vec<u8>) {
        out.push(byte);
        self.in_line = byte != b'\n';
    }

    /// The line for what is held, if that is a frame.
    fn decoded(&self) -> Option<String> {
        let [_, mark, first, second, frame @ ..] = &self.held[..] else { return None };
        let strings = strings(machine(*mark)?)?;
        if [*first, *second] != strings.number {
            let theirs = u16::from_be_bytes([*first, *second]);
            let ours = u16::from_be_bytes(strings.number);
            return Some(format!(
                "of another stoop: strings 0x{theirs:04x}, here 0x{ours:04x}; use the one that packed the image"
            ));
        }
        let mut decoder = strings.table.new_stream_decoder();
        decoder.received(frame);
        decoder.received(&[0]);
        let frame = decoder.decode().ok()?;
        let time = frame.display_timestamp().map(|time| time.to_string()).unwrap_or_default();
        Some(format!("{time}: {}", frame.display_message()))
    }
}

/// Whose frame it is by the byte behind its 0.
fn machine(mark: u8) -> Option<Machine> {
    Some(match mark.checked_sub(TRACE_MARK)? {
        byte if byte == Machine::MipsBe as u8 => Machine::MipsBe,
        byte if byte == Machine::MipsLe as u8 => Machine::MipsLe,
        _ => return None,
    })
}

struct Strings {
    number: [u8; 2],
    table: Table,
}

/// Those of the shim in this tool; read once.
fn strings(arch: Machine) -> Option<&'static Strings> {
    static ALL: [OnceLock<Option<Strings>>; 2] = [const { OnceLock::new() }; 2];
    let read = || {
        let shim = prebuilt(arch, Variant::Trace).ok()?;
        Some(Strings { number: number(shim), table: Table::parse(shim).ok()?? })
    };
    ALL[usize::from(arch.is_big_endian())].get_or_init(read).as_ref()
}
