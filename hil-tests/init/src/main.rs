//! PID 1 of the lab: mounts what it reads, prints what the kernel saw as checked lines (see `line`), and reboots. The
//! modules of a bundle are loaded before and unloaded behind that.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![cfg_attr(target_arch = "mips", feature(asm_experimental_arch))]

#[cfg(target_os = "none")]
mod line;
#[cfg(target_os = "none")]
mod modules;
#[cfg(target_os = "none")]
mod path;
#[cfg(target_os = "none")]
mod see;
#[cfg(target_os = "none")]
mod sys;

/// Called by the first instructions, in `sys/*.rs`.
#[cfg(target_os = "none")]
#[unsafe(no_mangle)]
extern "C" fn main() -> ! {
    sys::silence_kernel();
    for (kind, target) in [(c"proc", c"/proc"), (c"sysfs", c"/sys"), (c"devtmpfs", c"/dev")] {
        // The kernel may have mounted it already.
        let _ = sys::mount(kind, target);
    }
    let console = sys::File::read_write(c"/dev/console").unwrap_or(sys::File::STDOUT);
    console.write(b"\n");
    let mut lines = line::Lines::new(|line| console.write(line));
    let bundle = modules::Bundle::find();
    if let Some(bundle) = &bundle {
        bundle.load(&mut lines);
    }
    see::everything(&mut lines);
    if let Some(bundle) = &bundle {
        bundle.unload(&mut lines);
    }
    lines.finish();
    console.drain();
    sys::reboot(see::wanted_end())
}

#[cfg(target_os = "none")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    sys::File::STDOUT.write(b"stoop-lab-init: panic\n");
    sys::reboot(sys::End::PowerOff)
}

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("stoop-lab-init runs as PID 1 in the lab only: `cargo ci lab` builds it");
    std::process::exit(2);
}
