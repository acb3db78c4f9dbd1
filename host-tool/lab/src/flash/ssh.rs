//! Writing flash from a Linux that runs on the board, by ssh: `flashcp` or mtd-utils' others where they are, else OpenWrt's `mtd`.
//!
//! The order within an extent is the tool's, but the shim boots no slot whose sums do not hold, and what was written is read back.

use std::io::Write as _;
use std::process::{Command, Stdio};

use stoop_image::board::Board;
use stoop_image::image::flash::Area;

use super::{Error, Job, Step, Tell};
use crate::Result;

/// Writes what the job says; `host` is what ssh takes, with the user's own configuration.
///
/// # Errors
/// [`Error::Ssh`]: a command failed there. [`crate::bootloader::Error::WrongBoard`]: its flash is divided otherwise. [`Error::Differs`]: what was read
/// back is not the file; the address is the distance from the start of flash.
pub fn write(host: &str, board: &Board, job: &Job, tell: &Tell) -> Result<()> {
    let table = String::from_utf8_lossy(&run(host, "cat /proc/mtd", &[])?).into_owned();
    // All of it before the first byte is written.
    let areas = job.writes.iter().map(|write| &write.area).chain(&job.switch);
    let devices = areas.map(|area| device(&table, board, area)).collect::<Result<Vec<_>>>()?;
    for (write, device) in job.writes.iter().zip(&devices) {
        let (area, what) = (&write.area, write.what);
        let bytes = &job.file[write.from..][..area.size()];
        if first_difference(&read(host, device, area)?, bytes).is_none() {
            tell(Step::Kept { what });
            continue;
        }
        tell(Step::Writing { what, bytes: bytes.len(), size: bytes.len() });
        run(host, "cat > /tmp/stoop-flash", bytes)?;
        let command = writing(device, area);
        tell(Step::Typed(command.clone()));
        run(host, &command, &[])?;
        let found = read(host, device, area)?;
        if let Some(at) = first_difference(&found, bytes) {
            let byte = |bytes: &[u8]| bytes.get(at).copied().unwrap_or_default();
            return Err(Error::Differs { at: area.offset() + at, wanted: byte(bytes), found: byte(&found) }.into());
        }
        tell(Step::Verified { what });
    }
    for (area, device) in job.switch.iter().zip(&devices[job.writes.len()..]) {
        let command = erasing(device, area);
        tell(Step::Typed(command.clone()));
        run(host, &command, &[])?;
    }
    if !job.switch.is_empty() {
        tell(Step::Switched);
    }
    Ok(())
}

/// All that would be run there for it, for a partition whose number is not known yet.
pub fn lines(job: &Job) -> Vec<String> {
    let device = |area: &Area| format!("/dev/$(sed -n 's/:.*\"{}\"$//p' /proc/mtd)", area.partition());
    let writes = job.writes.iter().map(|write| writing(&device(&write.area), &write.area));
    writes.chain(job.switch.iter().map(|area| erasing(&device(area), area))).collect()
}

/// The device of an area's partition, if the board's table is the map's: `mtd3: 00180000 00010000 "firmware-a"`.
fn device(table: &str, board: &Board, area: &Area) -> Result<String> {
    let wrong =
        |difference: String| Err(crate::bootloader::Error::WrongBoard { board: board.name.clone(), difference }.into());
    let name = area.partition();
    let end = format!("\"{name}\"");
    let Some(line) = table.lines().find(|line| line.trim_end().ends_with(&end)) else {
        return wrong(format!("its /proc/mtd has no partition {name}"));
    };
    let mut words = line.split_whitespace();
    let device = words.next().unwrap_or_default().trim_end_matches(':').to_owned();
    let mut number = || usize::from_str_radix(words.next().unwrap_or_default(), 16).unwrap_or_default();
    let (size, erase) = (number(), number());
    let known = board.flash.as_ref().and_then(|flash| flash.partition(name)).map_or(0, |partition| partition.size);
    if (size, erase) != (known, area.erase_size()) {
        return wrong(format!(
            "its partition {name} has 0x{size:x} bytes in blocks of 0x{erase:x}, the flash map says 0x{known:x} in blocks of 0x{:x}",
            area.erase_size()
        ));
    }
    Ok(format!("/dev/{device}"))
}

/// One shell command for whatever the board has.
fn writing(device: &str, area: &Area) -> String {
    let (inside, size, block, name) = (area.inside(), area.size(), area.erase_size(), area.partition());
    let (first, count) = (inside / block, size / block);
    let by_block = format!(
        "if command -v flash_erase >/dev/null; then flash_erase -q {device} 0x{inside:x} {count} && dd if=/tmp/stoop-flash \
         of={device} bs={block} seek={first} conv=notrunc; else mtd_debug erase {device} 0x{inside:x} 0x{size:x} && mtd_debug write \
         {device} 0x{inside:x} 0x{size:x} /tmp/stoop-flash; fi"
    );
    match inside {
        0 => format!(
            "if command -v flashcp >/dev/null; then flashcp /tmp/stoop-flash {device}; elif command -v mtd >/dev/null; then mtd \
             write /tmp/stoop-flash {name}; else {by_block}; fi; code=$?; rm -f /tmp/stoop-flash; exit $code"
        ),
        _ => format!("{by_block}; code=$?; rm -f /tmp/stoop-flash; exit $code"),
    }
}

fn erasing(device: &str, area: &Area) -> String {
    let (inside, size, count) = (area.inside(), area.size(), area.size() / area.erase_size());
    format!(
        "if command -v flash_erase >/dev/null; then flash_erase -q {device} 0x{inside:x} {count}; else mtd_debug erase {device} \
         0x{inside:x} 0x{size:x}; fi"
    )
}

fn read(host: &str, device: &str, area: &Area) -> Result<Vec<u8>> {
    let (block, inside, size) = (area.erase_size(), area.inside(), area.size());
    let (skip, count) = (inside / block, size / block);
    run(host, &format!("dd if={device} bs={block} skip={skip} count={count} 2>/dev/null"), &[])
}

fn first_difference(found: &[u8], wanted: &[u8]) -> Option<usize> {
    let shorter = found.len().min(wanted.len());
    found
        .iter()
        .zip(wanted)
        .position(|(found, wanted)| found != wanted)
        .or((found.len() != wanted.len()).then_some(shorter))
}

/// Runs a command there with these bytes as its input; gives its output.
fn run(host: &str, command: &str, input: &[u8]) -> Result<Vec<u8>> {
    let failed = |said: String| Error::Ssh { host: host.to_owned(), command: command.to_owned(), said };
    // Nobody can answer a question; `--` keeps a host from being taken for an option.
    let mut ssh = Command::new("ssh");
    ssh.args(["-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "--", host, command]);
    ssh.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = ssh.spawn().map_err(|error| failed(format!("cannot start ssh: {error}")))?;
    let sent = child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(input));
    let output = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(failed(if said.is_empty() { output.status.to_string() } else { said }).into());
    }
    sent.map_err(|error| failed(error.to_string()))?;
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use stoop_image::board;

    use super::{Job, device, first_difference, lines};

    #[test]
    fn the_boards_own_table_must_be_the_maps() {
        let board = board::load("qemu-malta-le").expect("a board");
        let job = Job::of(&board, b"image", false).expect("a job");
        let area = &job.writes[0].area;
        let table = "dev:    size   erasesize  name\nmtd0: 00080000 00010000 \"u-boot\"\nmtd2: 00180000 00010000 \"firmware-a\"\n";
        assert_eq!(device(table, &board, area).expect("the device"), "/dev/mtd2");
        for (table, difference) in [
            (table.replace("firmware-a", "firmware"), "its /proc/mtd has no partition firmware-a"),
            (table.replace("00180000", "00190000"), "its partition firmware-a has 0x190000 bytes"),
            (table.replace("00180000 00010000", "00180000 00020000"), "in blocks of 0x20000"),
        ] {
            let error = device(&table, &board, area).expect_err("another board").to_string();
            assert!(error.contains(difference), "{error}");
        }
    }

    #[test]
    fn commands_name_only_the_area() {
        let board = board::load("qemu-malta-le").expect("a board");
        let job = Job::of(&board, b"image", false).expect("a job");
        let [line] = &lines(&job)[..] else { panic!("one write") };
        assert!(
            line.contains("flashcp /tmp/stoop-flash /dev/$(sed -n 's/:.*\"firmware-a\"$//p' /proc/mtd);"),
            "{line}"
        );
        assert!(line.contains("mtd write /tmp/stoop-flash firmware-a;"), "{line}");
        assert!(line.contains(" 0x0 1 && dd "), "{line}");
    }

    #[test]
    fn a_difference_is_the_first_one_or_the_shorter_end() {
        assert_eq!(first_difference(b"abc", b"abc"), None);
        assert_eq!(first_difference(b"abx", b"abc"), Some(2));
        assert_eq!(first_difference(b"ab", b"abc"), Some(2));
    }
}
