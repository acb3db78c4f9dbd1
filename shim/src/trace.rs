//! The trace build: frames of defmt on the UART, between the console's lines. Everything else of it is `trace!` in core and
//! `defmt::println!` in the shim. In every other build what is offered here does nothing.
//!
//! A frame is [`MARK`], [`TABLE`], then rzCOBS, in which no byte is 0, then 0 and the end of a line, so that the console's own
//! lines begin where lines begin. `stoop monitor` takes them out again.

#[cfg(feature = "trace")]
pub use frames::{begin, end};
#[cfg(not(feature = "trace"))]
pub use silence::{begin, end};

#[cfg(not(feature = "trace"))]
mod silence {
    use stoop_core::params::Params;

    use crate::arch;

    pub fn begin(_: &arch::Frame, _: &Params) {}

    pub fn end(_: &Params) {}
}

#[cfg(feature = "trace")]
mod frames {
    use core::sync::atomic::{AtomicU8, Ordering};

    use defmt::Encoder;
    use stoop_core::abi::Abi;
    use stoop_core::manifest;
    use stoop_core::params::Params;

    use crate::console::Console;
    use crate::{arch, linker};

    defmt::timestamp!("{=u32}", arch::count());

    /// What a frame begins with: no text has a byte of more than 7 bits behind a 0. The low half is the machine, by which the host
    /// knows whose strings they are.
    const MARK: [u8; 2] = [0, manifest::TRACE_MARK | arch::Abi::MACHINE as u8];

    /// Which strings: a sum over the shim's own, without a 0, that the host tool writes here when it packs. A frame of one build
    /// means something else by another's strings.
    #[unsafe(export_name = "__trace_table")]
    static TABLE: [AtomicU8; 2] = [AtomicU8::new(0xff), AtomicU8::new(0xff)];

    struct Frames {
        /// Nothing is said before the params have named a UART.
        console: Option<Console>,
        encoder: Encoder,
    }

    static mut FRAMES: Frames = Frames { console: None, encoder: Encoder::new() };

    impl Frames {
        fn send(&mut self, act: impl FnOnce(&mut Encoder, &mut dyn FnMut(&[u8]))) {
            if let Some(console) = &mut self.console {
                act(&mut self.encoder, &mut |bytes| bytes.iter().for_each(|byte| console.put(*byte)));
            }
        }
    }

    /// The only one there is.
    ///
    /// # Safety
    /// No other reference to it lives.
    unsafe fn frames() -> &'static mut Frames {
        // SAFETY: the caller's promise.
        unsafe { (&raw mut FRAMES).as_mut_unchecked() }
    }

    /// From now on frames go to the UART of the params; the first ones say how the image was entered, and where.
    pub fn begin(frame: &arch::Frame, params: &Params) {
        // SAFETY: one CPU, interrupts off, and no frame is being written: nothing else holds a reference.
        unsafe { frames() }.console = Some(Console::new(params));
        let [a, b, c, d] = frame.registers.map(|register| register as u64);
        defmt::println!("entered with registers {=u64:#010x} {=u64:#010x} {=u64:#010x} {=u64:#010x}", a, b, c, d);
        defmt::println!("image at {=u64:#010x}, loader {}", frame.image() as u64, linker::run_region());
        defmt::println!("params: RAM {}, flash {}", params.ram(), params.flash());
        arch::trace_caches();
    }

    /// What follows when no slot boots.
    pub fn end(params: &Params) {
        defmt::println!("no slot boots: policy {=str}", params.policy().name());
    }

    #[defmt::global_logger]
    struct Logger;

    // SAFETY: one CPU with interrupts off never writes two frames at once, and no reference outlives a call.
    unsafe impl defmt::Logger for Logger {
        fn acquire() {
            // SAFETY: as above.
            unsafe { frames() }.send(|encoder, put| {
                put(&MARK);
                TABLE.iter().for_each(|byte| put(&[byte.load(Ordering::Relaxed)]));
                // It would begin the very first frame with a separator, which the mark is already.
                encoder.start_frame(|_| ());
            });
        }

        unsafe fn write(bytes: &[u8]) {
            // SAFETY: as above.
            unsafe { frames() }.send(|encoder, put| encoder.write(bytes, put));
        }

        unsafe fn flush() {}

        unsafe fn release() {
            // SAFETY: as above.
            unsafe { frames() }.send(|encoder, put| {
                encoder.end_frame(&mut *put);
                put(b"\r\n");
            });
        }
    }
}
