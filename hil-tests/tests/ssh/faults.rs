//! What is found before anything is written.

use std::fs;

use stoop_ci::Result;

use super::{Bench, fault};

/// Asserts code, exit code and words of a fault.
fn ends(done: Result<()>, code: &str, exit: u8, words: &str) {
    let (found, status, text) = fault(done);
    assert_eq!((found, status), (code, exit), "{text}");
    assert!(text.contains(words), "no {words:?} in: {text}");
}

#[test]
fn a_board_that_ssh_does_not_get_into() -> Result<()> {
    let Some(mut bench) = Bench::start()? else { return Ok(()) };
    let image = bench.packed('a', "one")?;
    let before = |lines: &str| -> Result<()> {
        let config = bench.linux.config_with(&format!("Host board\n  {lines}\n"))?;
        bench.flash_with(&image, &config, &[])
    };
    ends(before("HostName no-such-host.invalid"), "L092", 75, "see whether the name is right");
    ends(before("Port 1"), "L092", 75, "start the SSH server there");
    let strange = bench.linux.config().with_file_name("strange_hosts");
    fs::write(&strange, "").expect("a file");
    let asks = format!("UserKnownHostsFile {}\n  StrictHostKeyChecking ask", strange.display());
    ends(before(&asks), "L092", 75, "log in once by hand, `ssh board`");
    let key = fs::read_to_string(bench.linux.config().with_file_name("key.pub")).expect("a key");
    fs::write(&strange, format!("[127.0.0.1]:{} {key}", bench.linux.port())).expect("a file");
    ends(before(&asks), "L092", 75, "forget the old key: ssh-keygen -R board");
    bench.linux.type_line("rm /root/.ssh/authorized_keys")?;
    ends(bench.flash(&image), "L092", 75, "give the board your key");
    assert_untouched(&mut bench)
}

#[test]
fn a_board_without_tools_without_room_and_with_a_failing_tool() -> Result<()> {
    let Some(mut bench) = Bench::start()? else { return Ok(()) };
    let image = bench.packed('a', "one")?;
    bench.linux.type_line("mount -o remount,size=64k /tmp")?;
    ends(bench.flash(&image), "L095", 3, "0x10000 bytes of memory");
    bench
        .linux
        .type_line("mount -o remount,size=50% /tmp; mkdir /away; mv /usr/sbin/flash* /usr/sbin/mtd_debug /away")?;
    ends(bench.flash(&image), "L094", 3, "install mtd-utils there");
    let program = "#!/bin/sh\\necho no such luck >&2\\nexit 9\\n";
    bench.linux.type_line(&format!("printf '{program}' > /usr/sbin/flashcp; chmod 755 /usr/sbin/flashcp"))?;
    ends(bench.flash(&image), "L091", 3, "no such luck");
    // One that does nothing is found by reading back.
    bench.linux.type_line(
        "printf '#!/bin/sh\\n' > /usr/sbin/flashcp; dd if=/dev/zero of=/dev/mtd2 bs=4 count=1 seek=100 conv=notrunc",
    )?;
    ends(bench.flash(&image), "L087", 3, "at 0x00090190: 0x00, not 0x");
    let files = bench.linux.type_line("ls /tmp")?;
    assert!(!files.contains("stoop-flash"), "nothing is left in memory: {files}");
    Ok(())
}

#[test]
fn a_partition_that_the_kernel_protects_and_one_that_it_runs_from() -> Result<()> {
    let read_only = |partitions: String| partitions.replace("(firmware-b)", "(firmware-b)ro");
    let Some(mut bench) = Bench::with(read_only)? else { return Ok(()) };
    let (a, b) = (bench.packed('a', "one")?, bench.packed('b', "two")?);
    ends(bench.flash(&b), "L096", 3, "lets nobody write the flash partition firmware-b");
    bench.flash(&a)?;
    bench.linux.type_line("mount -t squashfs -o ro /dev/mtdblock3 /mnt")?;
    let other = bench.packed('a', "three")?;
    ends(bench.flash(&other), "L097", 3, "rootfs-a: what is mounted at /mnt lies there");
    super::assert_holds(&bench.flash_when_off()?, &a);
    Ok(())
}

#[test]
fn flash_that_is_divided_otherwise() -> Result<()> {
    let smaller =
        |partitions: String| partitions.replace("0x180000@0x90000(firmware-a)", "0x170000@0x90000(firmware-a)");
    let Some(mut bench) = Bench::with(smaller)? else { return Ok(()) };
    let image = bench.packed('a', "one")?;
    ends(bench.flash(&image), "L044", 75, "its partition firmware-a has 0x170000 bytes, the flash map says 0x180000");
    assert_untouched(&mut bench)
}

/// Behind the bootloader everything is erased, as at the start.
fn assert_untouched(bench: &mut Bench) -> Result<()> {
    let flash = bench.flash_when_off()?;
    assert!(flash[0x8_0000..].iter().all(|byte| *byte == 0xff), "nothing was written");
    Ok(())
}
