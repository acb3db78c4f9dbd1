//! A board without its CPU, from its data file: what is not in the file is not there, and an access to it is a [`Stray`].

use std::ops::Range;

use stoop_core::Region;
use stoop_core::params::{Led, Uart, UartKind};
use stoop_image::board::Board;

use crate::bus::{Bus, Stray};

/// What a RAM controller does beyond the RAM that there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Beyond {
    /// Nothing answers.
    Faults,
    /// The address wraps, as with the DDR controller of ath79.
    Wraps,
}

/// What the board did, with the time of [`Machine::now`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// The LED was lit or darkened.
    Led(bool),
    /// The reset register was written.
    Reset,
    /// The watchdog was not fed in time.
    Bite,
}

/// Instructions in which a watchdog wants to be fed: far less than any board gives, since the payloads here are small, and
/// more than a decoder takes for what lies between two feedings.
pub const PERIOD: u64 = 1_200_000;

/// A write to a 32-bit register: it becomes what it holds `& keep`, exclusive or `flip`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Write {
    /// Physical.
    pub address: u64,
    /// Bits that stay.
    pub keep: u32,
    /// Bits to set or to invert.
    pub flip: u32,
}

/// A watchdog. Its time is that of executed instructions.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Watchdog {
    /// Writes that feed it, stop it, start it, each in their order.
    pub sequences: [Vec<Write>; 3],
    /// Instructions without feeding after which it resets the board.
    pub period: u64,
    /// It counts.
    pub runs: bool,
    /// When it was fed.
    pub fed: u64,
    /// How often it was fed.
    pub feeds: u64,
    /// Writes of each sequence that were seen.
    progress: [usize; 3],
    /// What its registers hold.
    registers: Vec<(u64, u32)>,
}

impl Watchdog {
    /// With these writes for feeding, stopping and starting.
    pub fn new(sequences: [Vec<Write>; 3], period: u64, runs: bool) -> Watchdog {
        Watchdog { sequences, period, runs, ..Watchdog::default() }
    }

    /// The board's, running if it can be fed, as if every bootloader left it so. Where seconds are written, they are the most.
    pub fn of(dog: &stoop_image::board::Watchdog, period: u64) -> Watchdog {
        let seconds = dog.longest.unwrap_or(0);
        let write = |register: &stoop_image::board::Register| Write {
            address: register.address.into(),
            keep: register.keep,
            flip: register.value.wrapping_add(register.per_second.wrapping_mul(seconds)),
        };
        let sequences = [&dog.feed, &dog.stop, &dog.start].map(|list| list.iter().map(write).collect::<Vec<_>>());
        Watchdog::new(sequences, period, !dog.feed.is_empty())
    }

    fn knows(&self, at: u64) -> bool {
        self.sequences.iter().flatten().any(|write| write.address == at)
    }

    fn read(&self, at: u64) -> u32 {
        self.registers.iter().find(|(address, _)| *address == at).map_or(0x8000_0005, |(_, value)| *value)
    }

    /// Whether the write is one of those that it takes.
    fn write(&mut self, at: u64, value: u32, now: u64) -> bool {
        let old = self.read(at);
        let is = |write: &Write| write.address == at && value == (old & write.keep) ^ write.flip;
        let mut known = false;
        for (which, progress) in self.progress.iter_mut().enumerate() {
            let sequence = &self.sequences[which];
            if !sequence.get(*progress).is_some_and(is) {
                *progress = 0;
            }
            if !sequence.first().is_some_and(|_| is(&sequence[*progress])) {
                continue;
            }
            (known, *progress) = (true, *progress + 1);
            if *progress == sequence.len() {
                *progress = 0;
                self.fed = now;
                match which {
                    0 => self.feeds += 1,
                    1 => self.runs = false,
                    _ => self.runs = true,
                }
            }
        }
        self.registers.retain(|(address, _)| *address != at);
        self.registers.push((at, value));
        known
    }
}

/// A board without its CPU. Time passes by [`Machine::advance`] only.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Its RAM, from the address of `ram` on.
    pub ram: Vec<u8>,
    /// Where the RAM of the data file is.
    pub ram_at: Region,
    /// What happens in that region beyond [`Machine::ram`].
    pub beyond: Beyond,
    /// The content of its memory-mapped flash; erased behind its end.
    pub flash: Vec<u8>,
    /// Where it is.
    pub flash_at: Region,
    /// How often each byte of flash was read, at most 255.
    pub flash_reads: Vec<u8>,
    /// Time that each byte read from flash takes, in instructions.
    pub flash_wait: u64,
    /// Flash bytes that have another bit from their second read on.
    pub flaky: Vec<Range<usize>>,
    /// What came out of the UART.
    pub said: Vec<u8>,
    /// The UART.
    pub uart: Uart,
    /// How often the status says "busy" after a character.
    pub busy_polls: u32,
    /// The transmitter never gets ready.
    pub deaf: bool,
    /// Characters that were sent while the transmitter was busy, and lost.
    pub lost: usize,
    /// Reads of the UART's status.
    pub polls: u64,
    /// The LED's registers.
    pub led: Option<Led>,
    /// The reset register: address, value.
    pub reset: Option<(u64, u64)>,
    /// The watchdog.
    pub watchdog: Option<Watchdog>,
    /// What happened, and when.
    pub events: Vec<(u64, Event)>,
    /// The board was reset: nothing more happens.
    pub dead: bool,
    /// The CPU's byte order.
    pub big_endian: bool,
    /// Instructions since the board was entered.
    pub now: u64,
    /// Of these, the time that was skipped while somebody waited.
    pub skipped: u64,
    busy: u32,
}

impl Machine {
    /// The same with less RAM than the data file says.
    pub fn with_ram(mut self, size: usize, beyond: Beyond) -> Machine {
        self.ram.resize(size, 0);
        self.beyond = beyond;
        self
    }

    /// The board of this data file: RAM of zeros, flash erased.
    pub fn of(board: &Board) -> Machine {
        let flash_at = board.flash_window();
        Machine {
            ram: vec![0; board.ram.size()],
            ram_at: board.ram,
            beyond: Beyond::Faults,
            flash: Vec::new(),
            flash_at,
            flash_reads: vec![0; flash_at.size()],
            flash_wait: 0,
            flaky: Vec::new(),
            said: Vec::new(),
            uart: board.uart,
            busy_polls: 3,
            deaf: false,
            lost: 0,
            polls: 0,
            led: board.led,
            reset: board.reset.map(|reset| (reset.address as u64, reset.value.into())),
            watchdog: board.watchdog.as_ref().map(|dog| Watchdog::of(dog, PERIOD)),
            events: Vec::new(),
            dead: false,
            big_endian: board.arch.is_big_endian(),
            now: 0,
            skipped: 0,
            busy: 0,
        }
    }

    /// The bytes of RAM or flash at a physical address, without a trace; `None` where there are not as many.
    pub fn bytes(&self, at: u64, size: usize) -> Option<&[u8]> {
        if let Some(at) = offset(self.ram_at, at, size) {
            return self.ram.get(at..at + size);
        }
        self.flash.get(offset(self.flash_at, at, size)?..)?.get(..size)
    }

    /// Puts bytes into RAM or flash, without a trace; `None` where there is no room.
    pub fn put(&mut self, at: u64, bytes: &[u8]) -> Option<()> {
        let room = match offset(self.ram_at, at, bytes.len()) {
            Some(at) => self.ram.get_mut(at..at + bytes.len())?,
            None => {
                let at = offset(self.flash_at, at, bytes.len())?;
                if self.flash.len() < at + bytes.len() {
                    self.flash.resize(at + bytes.len(), 0xff);
                }
                &mut self.flash[at..at + bytes.len()]
            }
        };
        room.copy_from_slice(bytes);
        Some(())
    }

    /// Lets time pass: so many instructions.
    #[inline]
    pub fn advance(&mut self, instructions: u64) {
        self.now += instructions;
        if let Some(watchdog) = &self.watchdog
            && watchdog.runs
            && self.now - self.skipped - watchdog.fed > watchdog.period
            && !self.dead
        {
            self.events.push((self.now, Event::Bite));
            self.dead = true;
        }
    }

    /// Lets time pass that somebody only waits for; the watchdog does not count it.
    pub fn skip(&mut self, instructions: u64) {
        self.skipped += instructions;
        self.now += instructions;
    }

    /// Instructions that were executed.
    #[inline]
    pub fn executed(&self) -> u64 {
        self.now - self.skipped
    }

    /// Where in [`Machine::ram`] a physical address is.
    fn in_ram(&self, at: u64, size: usize) -> Option<usize> {
        let at = offset(self.ram_at, at, size)?;
        match self.beyond {
            Beyond::Wraps => Some(at % self.ram.len()),
            Beyond::Faults => (at + size <= self.ram.len()).then_some(at),
        }
    }

    /// Reads a device, or says that there is none.
    fn read_device(&mut self, at: u64, width: u8) -> Result<u64, Stray> {
        let stray = |why| Stray { at, width: width.into(), value: None, why };
        if let Some(watchdog) = self.watchdog.as_ref().filter(|watchdog| width == 4 && watchdog.knows(at)) {
            return Ok(watchdog.read(at).into());
        }
        let Some(number) = self.uart_register(at) else { return Err(stray("nothing is there")) };
        let (status, bit, when_busy) = match self.uart.kind {
            UartKind::Pl011 => (6, 0x20, 0x20),
            _ => (5, 0x20, 0),
        };
        if number != status {
            return Err(stray("a register of the UART that nobody needs to read"));
        }
        if width != self.uart.width {
            return Err(stray("the UART wants another width"));
        }
        self.polls += 1;
        let busy = self.deaf || self.busy != 0;
        self.busy = self.busy.saturating_sub(1);
        // Other bits are set or not, as they are in a UART that receives.
        let others = if self.polls.is_multiple_of(2) { 0x41 } else { 0x40 };
        Ok(others | if busy { when_busy } else { bit ^ when_busy })
    }

    fn write_device(&mut self, at: u64, width: u8, value: u64) -> Result<(), Stray> {
        let stray = |why| Stray { at, width: width.into(), value: Some(value), why };
        let executed = self.now - self.skipped;
        if let Some(watchdog) = self.watchdog.as_mut().filter(|watchdog| width == 4 && watchdog.knows(at)) {
            return match watchdog.write(at, value as u32, executed) {
                true => Ok(()),
                false => Err(stray("not what the watchdog takes")),
            };
        }
        if let Some(led) = &self.led
            && [led.set as u64, led.clear as u64].contains(&at)
        {
            if (width, value) != (4, led.mask.into()) {
                return Err(stray("not the LED's bit alone"));
            }
            let on = at == led.set as u64;
            self.events.push((self.now, Event::Led(on)));
            return Ok(());
        }
        if let Some((reset, wanted)) = self.reset
            && reset == at
        {
            if (width, value) != (4, wanted) {
                return Err(stray("not what resets the board"));
            }
            self.events.push((self.now, Event::Reset));
            self.dead = true;
            return Ok(());
        }
        match self.uart_register(at) {
            None => Err(stray("nothing is there")),
            Some(0) if width == self.uart.width => {
                if self.busy != 0 {
                    self.lost += 1;
                } else {
                    self.said.push(value as u8);
                }
                self.busy = self.busy_polls;
                Ok(())
            }
            Some(0) => Err(stray("the UART wants another width")),
            Some(_) => Err(stray("a register of the UART that nobody needs to write")),
        }
    }

    /// The number of the UART's register there.
    fn uart_register(&self, at: u64) -> Option<u64> {
        let distance = at.checked_sub(self.uart.address as u64)?;
        let number = distance >> self.uart.shift;
        let registers = if self.uart.kind == UartKind::Pl011 { 16 } else { 8 };
        let there = self.uart.kind != UartKind::None && number < registers;
        (there && distance.is_multiple_of(1 << self.uart.shift)).then_some(number)
    }

    fn read_flash(&mut self, at: usize) -> u8 {
        self.now += self.flash_wait;
        let times = &mut self.flash_reads[at];
        *times = times.saturating_add(1);
        let changed = *times > 1 && self.flaky.iter().any(|flaky| flaky.contains(&at));
        self.flash.get(at).copied().unwrap_or(0xff) ^ if changed { 4 } else { 0 }
    }
}

/// Where in `region` so many bytes from `at` on are.
fn offset(region: Region, at: u64, size: usize) -> Option<usize> {
    let at = usize::try_from(at).ok()?.checked_sub(region.start())?;
    (at.checked_add(size)? <= region.size()).then_some(at)
}

impl Bus for Machine {
    fn read(&mut self, at: u64, width: u8) -> Result<u64, Stray> {
        let size = usize::from(width);
        let mut bytes = [0; 8];
        if let Some(at) = self.in_ram(at, size) {
            bytes[..size].copy_from_slice(&self.ram[at..at + size]);
        } else if let Some(at) = offset(self.flash_at, at, size) {
            for (byte, at) in bytes.iter_mut().zip(at..at + size) {
                *byte = self.read_flash(at);
            }
        } else {
            return self.read_device(at, width);
        }
        let bytes = bytes[..size].iter();
        let join = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        Ok(if self.big_endian { bytes.fold(0, join) } else { bytes.rev().fold(0, join) })
    }

    fn write(&mut self, at: u64, width: u8, value: u64) -> Result<(), Stray> {
        let size = usize::from(width);
        let Some(at) = self.in_ram(at, size) else {
            if offset(self.flash_at, at, size).is_some() {
                return Err(Stray { at, width: size, value: Some(value), why: "flash is not written like memory" });
            }
            return self.write_device(at, width, value);
        };
        match self.big_endian {
            true => self.ram[at..at + size].copy_from_slice(&value.to_be_bytes()[8 - size..]),
            false => self.ram[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]),
        }
        Ok(())
    }

    fn read_line(&mut self, at: u64, line: &mut [u8]) -> Result<(), Stray> {
        if let Some(at) = self.in_ram(at, line.len()) {
            line.copy_from_slice(&self.ram[at..at + line.len()]);
        } else if let Some(at) = offset(self.flash_at, at, line.len()) {
            for (byte, at) in line.iter_mut().zip(at..) {
                *byte = self.read_flash(at);
            }
        } else {
            return Err(Stray { at, width: line.len(), value: None, why: "neither RAM nor flash is there" });
        }
        Ok(())
    }

    fn write_line(&mut self, at: u64, line: &[u8]) -> Result<(), Stray> {
        let Some(at) = self.in_ram(at, line.len()) else {
            return Err(Stray { at, width: line.len(), value: Some(0), why: "no RAM takes the cache line" });
        };
        self.ram[at..at + line.len()].copy_from_slice(line);
        Ok(())
    }
}
