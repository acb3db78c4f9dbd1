//! `cargo ci miri`: core's tests, and the shim's memory module over pieces of this machine's memory, under Miri, the interpreter
//! that ends a run at the first undefined behaviour.

use stoop_samples::failure::Result;

use crate::{cache, repository, run, toolchain};

/// Core's tests that call no C library and no program, which Miri cannot, in two halves that take as long as each other: Miri has one
/// thread. What would take it minutes says so beside its test and is counted by the test's own report as ignored.
const TESTS: [&[&str]; 2] = [
    &["boot", "crc32"],
    &["arm64", "blocks", "board_memory", "cookie", "entry", "fdt_limits", "fdt_names", "overlay", "words"],
];
/// Made-up inputs for each property; the tests' own number takes seconds without Miri and hours with it.
const CASES: &str = "4";

/// Gets Miri where rustup has it for this nightly, and runs the tests; says why when it cannot.
///
/// # Errors
/// A test fails, or Miri finds something.
pub fn run() -> Result<Option<String>> {
    let version = || run::output(toolchain::command("cargo").args(["miri", "--version"]));
    if version().is_err() {
        // Where that fails there is none, which is said below.
        let _ = run::step("miri: asking rustup", || {
            run::output(run::command("rustup").args(["component", "add", "miri", "--toolchain", &toolchain::name()]))
        });
        if version().is_err() {
            return Ok(Some(toolchain::lacks("miri")));
        }
    }
    let folder = repository().join("target/miri");
    let test = |tests: &[&str]| {
        let mut miri = toolchain::command("cargo");
        miri.current_dir(repository()).args(["miri", "test", "--locked", "--package", "stoop-core", "--lib"]);
        miri.args(tests.iter().flat_map(|test| ["--test", test])).arg("--target-dir").arg(&folder);
        // Tests read their samples; the crate `fdt`, which some compare with, makes pointers out of a tree's numbers.
        miri.env("MIRIFLAGS", "-Zmiri-disable-isolation -Zmiri-permissive-provenance").env("PROPTEST_CASES", CASES);
        miri
    };
    run::shown(test(&TESTS.concat()).arg("--no-run"))?;
    let half = |tests: &[&str]| {
        let log = folder.join(format!("{}.log", tests[0]));
        run::logged(&mut test(tests), &log)?;
        let said = String::from_utf8_lossy(&cache::read(&log)?).into_owned();
        let results = said.lines().filter(|line| line.contains("Running") || line.starts_with("test result"));
        Ok(results.map(|line| format!("{line}\n")).collect::<String>())
    };
    std::thread::scope(|scope| {
        let halves = TESTS.map(|tests| scope.spawn(move || half(tests)));
        halves.map(|half| half.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
    .into_iter()
    .try_for_each(|said: Result<String>| said.map(|said| eprint!("{said}")))
    .map(|()| None)
}
