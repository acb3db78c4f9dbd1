//! `cargo ci miri`: core's tests, and the shim's memory module over pieces of this machine's memory, under Miri, the interpreter
//! that ends a run at the first undefined behaviour.

use stoop_samples::failure::Result;

use crate::{cache, repository, run, toolchain};

/// Core's tests that call no C library and no program, which Miri cannot, as cargo and the test programs are told them, in two halves that
/// take about as long as each other: Miri has one thread. What is too slow there says so beside its test, and the test's own report counts
/// it as ignored.
const HALVES: [(&[&str], &[&str]); 2] = [
    (&["--test=suite"], &["boot::", "crc32::"]),
    (
        &["--lib", "--test=board_memory", "--test=features", "--test=suite"],
        &[
            "--skip=boot::",
            "--skip=crc32::",
            // C libraries, programs, and hundreds of thousands of boots.
            "--skip=codec_lz4::",
            "--skip=codec_lzma::",
            "--skip=fdt_edits::",
            "--skip=fdt_mutations::",
            "--skip=registers::",
        ],
    ),
];
/// Made-up inputs for each property; the tests' own number takes seconds without Miri and hours with it.
const CASES: &str = "4";

/// Gets Miri where rustup has it for this nightly, and runs the tests; says why when it cannot.
///
/// # Errors
/// A test fails, or Miri finds something.
pub fn run() -> Result<Option<String>> {
    let version = || run::output(toolchain::command("cargo").args(["miri", "--version"]));
    if version().is_err() && (toolchain::add("miri").is_err() || version().is_err()) {
        return Ok(Some(toolchain::lacks("miri")));
    }
    let folder = repository().join("target/miri");
    let test = |programs: &[&str]| {
        let mut miri = toolchain::command("cargo");
        miri.current_dir(repository()).args(["miri", "test", "--locked", "--package", "stoop-core"]);
        miri.args(programs).arg("--target-dir").arg(&folder);
        // Tests read their samples; the crate `fdt`, which some compare with, makes pointers out of a tree's numbers.
        miri.env("MIRIFLAGS", "-Zmiri-disable-isolation -Zmiri-permissive-provenance").env("PROPTEST_CASES", CASES);
        miri
    };
    let [_, (all, _)] = HALVES;
    run::shown(test(all).arg("--no-run"))?;
    let half = |number: usize| {
        let log = folder.join(format!("{number}.log"));
        let (programs, tests) = HALVES[number];
        run::logged(test(programs).arg("--").args(tests), &log)?;
        let said = String::from_utf8_lossy(&cache::read(&log)?).into_owned();
        let results = said.lines().filter(|line| line.contains("Running") || line.starts_with("test result"));
        Ok(results.map(|line| format!("{line}\n")).collect::<String>())
    };
    let halves: [Result<String>; 2] = std::thread::scope(|scope| {
        let halves = [0, 1].map(|number| scope.spawn(move || half(number)));
        halves.map(|half| half.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    for said in halves {
        eprint!("{}", said?);
    }
    Ok(None)
}
