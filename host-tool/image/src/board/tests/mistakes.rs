//! Mistakes in a watchdog, in the flash map, in texts and in figures.

use super::{RIGHT, broken, read_text};

#[test]
fn each_mistake_in_a_watchdog_has_its_own_message() {
    for (lines, message) in [
        (
            "feed = [{ address = 0x1806_000d }]",
            "t.toml:11: watchdog.feed[0]: 0x1806000d is not a multiple of 4 | give the address of a 32-bit register\n",
        ),
        (
            "stop = [{ address = 0x1806_0008, per-second = 1 }]",
            "t.toml:11: watchdog.stop[0]: per-second, but stopping takes no time | give `value` alone\n",
        ),
        (
            "feed = [{ address = 0x10_0000 }]",
            "t.toml:11: watchdog.feed[0]: 0x100000 lies in RAM 0x0..0x8000000 | give the register's address\n",
        ),
        (
            "feed = [{ address = 0xb806_000c }]",
            "t.toml:11: watchdog.feed[0]: 0xb806000c is not below 0x20000000, where KSEG1 reaches | give the physical address, without KSEG1's 0xa0000000\n",
        ),
        ("", "t.toml:9: watchdog: nothing feeds it and nothing stops it | add `feed` or `stop`, or leave it out\n"),
        (
            "feed = [{ address = 0x1806_000c }]\nstart = [{ address = 0x1806_0008 }]",
            "t.toml:12: watchdog.start: it can be started, but not for a known time and fed | add `longest`, the most seconds that it counts, and `feed`\n",
        ),
        (
            "longest = 22\nfeed = [{ address = 0x1806_000c, per-second = 200_000_000 }]",
            "t.toml:9: watchdog: 22 s at 0x1806000c exceed 32 bits | correct the registers, or `longest`\n",
        ),
        (
            "feed = [{ address = 0 }, { address = 4 }, { address = 8 }]\nstop = [{ address = 0 }, { address = 4 }, { address = 8 }, { address = 12 }]",
            "t.toml:9: watchdog: 7 writes, and the shim keeps 6 | correct the registers, or `longest`\n",
        ),
    ] {
        let watchdog = format!("[watchdog]\ntitle = \"w\"\n{lines}\n[led]");
        let lines = RIGHT.replacen("[led]", &watchdog, 1);
        let problems = read_text("t", lines).expect_err("a broken board passed");
        let said: String = problems.iter().map(|problem| format!("{problem} | {}\n", problem.next)).collect();
        assert!(said.ends_with(message), "{said}");
    }
}

#[test]
fn each_mistake_in_the_flash_map_has_its_own_message() {
    for (from, to, message) in [
        (
            "offset = 0x2_0000",
            "offset = 0x1_0000",
            "t.toml:28: flash.partitions[1]: firmware 0x10000..0xf0000 overlaps u-boot 0x0..0x20000 | list the parts, not what they are parts of\n",
        ),
        (
            "size = 0xe_0000",
            "size = 0xf_0000",
            "t.toml:28: flash.partitions[1]: firmware (0x20000, 0xf0000 bytes) is not inside the flash of 0x100000 bytes | correct offset or size\n",
        ),
        (
            "size = 0xe_0000",
            "size = 0xd_f000",
            "t.toml:28: flash.partitions[1]: firmware (0x20000, 0xdf000 bytes) does not fall on erase blocks of 0x10000 bytes | erasing it would take a neighbour's bytes: correct offset, size or erase-size\n",
        ),
        (
            "offset = 0x2_0000",
            "offset = 0x7fff_ffff_ffff_0000",
            "t.toml:28: flash.partitions[1]: firmware (0x7fffffffffff0000, 0xe0000 bytes) is not inside the flash of 0x100000 bytes | correct offset or size\n",
        ),
        (
            "role = \"bootloader\"",
            "role = \"bootloader\", protected = false",
            "t.toml:27: flash.partitions[0].protected: u-boot has the role bootloader and is not protected | leave `protected` out: nothing may write it\n",
        ),
        (
            "role = \"bootloader\"",
            "role = \"data\"",
            "t.toml:26: flash.partitions: none of the partitions (u-boot, firmware) has the role bootloader | name the range of the bootloader, so that nothing writes it\n",
        ),
        (
            "name = \"firmware\"",
            "name = \"u-boot\"",
            "t.toml:28: flash.partitions[1].name: \"u-boot\" is there twice | give each partition its own name\n",
        ),
        (
            "role = \"firmware\"",
            "role = \"firmware\", slot = \"A\"",
            "t.toml:28: flash.partitions[1].slot: a slot is one lower-case letter | use \"a\" or \"b\"\n",
        ),
        (
            "erase-size = 0x1_0000",
            "erase-size = 0x3_0000",
            "t.toml:25: flash.erase-size: 0x100000 bytes in blocks of 0x30000 | the flash is a whole number of erase blocks\n",
        ),
        (
            "erase-size = 0x1_0000",
            "erase-size = 0",
            "t.toml:25: flash.erase-size: 0x100000 bytes in blocks of 0x0 | the flash is a whole number of erase blocks\n",
        ),
    ] {
        assert_eq!(broken(from, to), message, "after {from:?} became {to:?}");
    }
}

#[test]
fn what_is_displayed_and_typed_is_plain_text() {
    for (from, to, message) in [
        (
            "title = \"Test\"",
            "title = \"a\\nstoop: ok\"",
            "t.toml:1: title: \"a\\nstoop: ok\" holds control characters | write one line of text without control characters\n",
        ),
        (
            "[\"a test\"]",
            "[\"\"]",
            "t.toml:4: sources[0]: it is empty | write one line of text without control characters\n",
        ),
        (
            "name = \"U-Boot\"",
            "name = \"U-Boot\"\nflash-command = \"bootm\\nerase all\"",
            "t.toml:14: bootloader.flash-command: \"bootm\\nerase all\" holds control characters | write one line of text without control characters\n",
        ),
        (
            "name = \"U-Boot\"",
            "name = \"U-Boot\"\nprompt = \"\"",
            "t.toml:14: bootloader.prompt: no text, and every line has that | give what it prints, or leave it out\n",
        ),
        (
            "name = \"U-Boot\"",
            "name = \"U-Boot\"\ninterrupt = { on = \" \", send = \"\" }",
            "t.toml:14: bootloader.interrupt.on: no text, and every line has that | give what it prints, or leave it out\n\
             t.toml:14: bootloader.interrupt.send: nothing is sent | give the key, as \" \" or \"\\u0003\"\n",
        ),
        (
            "name = \"firmware\"",
            "name = \"\"",
            "t.toml:28: flash.partitions[1].name: \"\" is empty, or has blanks around it | use letters, digits, single blanks and any of _ . : + -\n",
        ),
        (
            "name = \"firmware\"",
            "name = \"x$(touch y)\"",
            "t.toml:28: flash.partitions[1].name: \"x$(touch y)\" has a '$', which commands would take apart | use letters, digits, single blanks and any of _ . : + -\n",
        ),
        (
            "name = \"firmware\"",
            "name = \"it's\"",
            "t.toml:28: flash.partitions[1].name: \"it's\" has a '\\'', which commands would take apart | use letters, digits, single blanks and any of _ . : + -\n",
        ),
    ] {
        assert_eq!(broken(from, to), message, "after {from:?} became {to:?}");
    }
}

#[test]
fn figures_that_no_hardware_has_have_their_own_message() {
    for (from, to, message) in [
        (
            "tftp-address = 0x8100_0000",
            "tftp-address = 0x8100_0004",
            "t.toml:15: bootloader.tftp-address: 0x81000004 is not a multiple of 8, and headers are read by words | give a rounder address\n",
        ),
        (
            "tftp-address = 0x8100_0000",
            "tftp-address = 0x8000_0000",
            "t.toml:15: bootloader.tftp-address: 0x80000000 lies in the first 0x1000 bytes, with the exception vectors | give an address that is free while the bootloader runs\n",
        ),
        (
            "start = 0x600_0000",
            "start = 0x7e8_0000",
            "t.toml:18: bootloader.staging: 0x7e80000..0x7f80000 reaches into the top of RAM from 0x7f00000, which is the bootloader's own | correct it, or reserved-top\n",
        ),
        (
            "[led]",
            "[defaults]\nhandoff = \"arm64\"\n[led]",
            "t.toml:10: defaults.handoff: a kernel for mips big-endian is not called that way | leave it out: pack sees from the kernel how to call it\n",
        ),
        (
            "size = 0x10_0000\nerase-size",
            "size = 0x1_0000_0000\nerase-size",
            "t.toml:24: flash.size: 0x100000000 bytes, more than any NOR chip, 0x10000000 | give the chip's size in bytes, or `kind = \"nand\"`\n",
        ),
        (
            "erase-size = 0x1_0000",
            "erase-size = 0x1_0000\nread-speed = 9223372036854775807",
            "t.toml:26: flash.read-speed: 9223372036854775807 bytes in a second | give bytes in a second, as 3_125_000; leave the key out when nobody knows\n",
        ),
    ] {
        assert_eq!(broken(from, to), message, "after {from:?} became {to:?}");
    }
}
