//! The conversation against a U-Boot of few words, and the pure parts.

use std::io::{BufRead, BufReader, Write};
use std::sync::mpsc::{Receiver, channel};
use stoop_image::Explained as _;

use super::*;

const PROMPT: &str = "ath> ";

fn facts() -> Facts {
    Facts {
        prompt: PROMPT.trim_end().to_owned(),
        interrupt: None,
        server: "10.0.2.2".into(),
        patience: Duration::from_secs(60),
        tftp_address: 0x8100_0000,
        free_end: 0x800_0000,
        kseg0: true,
        own_tree: None,
    }
}

/// A bootloader that says `greeting`, then echoes each line, says what `answer` gives for it, and its prompt. What was typed
/// can be received.
fn bootloader(greeting: &str, answer: fn(&str) -> String) -> (Console, Receiver<String>) {
    let (typed, to) = std::io::pipe().unwrap();
    let (from, mut says) = std::io::pipe().unwrap();
    let (heard, typed_lines) = channel();
    says.write_all(greeting.as_bytes()).unwrap();
    std::thread::spawn(move || {
        for line in BufReader::new(typed).lines().map_while(|line| line.ok()) {
            let said = format!("{line}\r\n{}{PROMPT}", answer(&line));
            let _ = heard.send(line);
            if says.write_all(said.as_bytes()).is_err() {
                break;
            }
        }
    });
    (Console::new(from, to, None, None), typed_lines)
}

/// Everything works: the sizes are those of the files below.
fn willing(line: &str) -> String {
    match line.rsplit(':').next() {
        _ if line == "dhcp" => "DHCP client bound to address 10.0.2.15 (1 ms)\r\n".into(),
        Some("bootargs.txt") => "Bytes transferred = 13 (d hex)\r\n".into(),
        Some("image") => "Bytes transferred = 5 (5 hex)\r\n".into(),
        Some("tree.dtb") => "Bytes transferred = 3 (3 hex)\r\n".into(),
        _ => String::new(),
    }
}

/// Stages and starts 5 bytes of image with the bootargs `a=b`; returns what was typed.
fn typed(bootargs: Option<&[u8]>, how: StartCommand<'_>) -> Vec<String> {
    let boot = Boot { image: b"image", bootargs, files: &[], how };
    let mut staged = Vec::new();
    let plan = stage::<crate::Error>(&facts(), &boot, &mut |name, bytes| {
        staged.push((name.to_owned(), bytes.len()));
        Ok(name.to_owned())
    });
    let (mut console, lines) = bootloader(PROMPT, willing);
    attach(&mut console, &facts()).unwrap();
    start(&mut console, &facts(), &plan.unwrap()).unwrap();
    drop(console);
    lines.iter().collect()
}

#[test]
fn bootm_gets_bootargs_by_import_and_the_image() {
    assert_eq!(
        typed(Some(b"a=b"), StartCommand::Bootm { at: 0x8100_0000, tree: None }),
        [
            "setenv autoload no",
            "dhcp",
            "tftpboot 0x81000000 10.0.2.2:bootargs.txt",
            "env import -t 0x81000000 0xd",
            "tftpboot 0x81000000 10.0.2.2:image",
            "bootm 0x81000000",
        ]
    );
}

#[test]
fn bootm_with_a_tree_fetches_it_and_names_it() {
    let how = StartCommand::Bootm { at: 0x8100_0000, tree: Some((0x8200_0000, b"dtb")) };
    assert_eq!(
        typed(None, how)[2..],
        [
            "setenv bootargs",
            "tftpboot 0x81000000 10.0.2.2:image",
            "tftpboot 0x82000000 10.0.2.2:tree.dtb",
            "bootm 0x81000000 - 0x82000000",
        ]
    );
}

#[test]
fn other_files_are_fetched_before_the_image() {
    let how = StartCommand::Bootm { at: 0x8100_0000, tree: None };
    let boot = Boot { image: b"image", bootargs: None, files: &[(0x8400_0000, b"x"), (0x8500_0000, b"yz")], how };
    let plan = stage::<crate::Error>(&facts(), &boot, &mut |name, _| Ok(name.to_owned())).unwrap();
    let files: Vec<_> = plan.files.iter().map(|file| (file.name.as_str(), file.size, file.at)).collect();
    assert_eq!(files, [("file0", 1, 0x8400_0000), ("file1", 2, 0x8500_0000), ("image", 5, 0x8100_0000)]);
}

#[test]
fn go_bootelf_and_a_command_end_in_their_line() {
    let last = |how| typed(Some(b"a=b"), how).split_off(4);
    let fetch = "tftpboot 0x81000000 10.0.2.2:image";
    let first = "cp.l 0x81000000 0xa1000000 0x100";
    assert_eq!(last(StartCommand::Go { at: 0x8100_0000 }), [fetch, first, "go 0xa1000000 ${bootargs}"]);
    let bootelf = [fetch, "setenv autostart yes", "bootelf -p 0x81000000 ${bootargs}"];
    assert_eq!(last(StartCommand::Bootelf { at: 0x8100_0000 }), bootelf);
    assert_eq!(last(StartCommand::Command { line: "bootm 0xbe080000", at: 0x8100_0000 }), ["bootm 0xbe080000"]);
    assert_eq!(
        typed(None, StartCommand::Go { at: 0x8100_0000 }).pop().unwrap(),
        "go 0xa1000000",
        "no words, no variable"
    );
}

#[test]
fn autoboot_is_interrupted_only_after_it_listens() {
    let mut facts = facts();
    facts.interrupt = Some(Interrupt { on: Some("Hit 'gl' to stop (1)".into()), send: "gl\n".into() });
    let (mut console, lines) = bootloader("U-Boot 1.1.4\r\nHit 'gl' to stop (1): 1", |_| String::new());
    attach(&mut console, &facts).unwrap();
    assert_eq!(lines.recv().unwrap(), "gl");
    let (mut console, lines) = bootloader("U-Boot 1.1.4\r\nath> ", |_| String::new());
    attach(&mut console, &facts).unwrap();
    drop(console);
    assert_eq!(lines.iter().count(), 0, "a board at its prompt is left alone");
}

#[test]
fn a_lease_that_does_not_come_and_a_short_file_are_failures() {
    let (mut console, _lines) = bootloader(PROMPT, |_| "no link\r\n".into());
    attach(&mut console, &facts()).unwrap();
    let failure = network(&mut console, &facts()).unwrap_err();
    assert!(failure.to_string().starts_with("`dhcp` got no lease; the console's last lines:"), "{failure}");
    let (mut console, _lines) = bootloader(PROMPT, willing);
    attach(&mut console, &facts()).unwrap();
    let failure = fetch(&mut console, &facts(), 0x8100_0000, "image", 6).unwrap_err();
    assert!(
        failure.to_string().starts_with("`tftpboot 0x81000000 10.0.2.2:image` did not fetch 0x6 bytes"),
        "{failure}"
    );
}

#[test]
fn what_a_command_printed_is_returned_without_its_echo() {
    let (mut console, _lines) = bootloader(PROMPT, |_| "one\r\ntwo\r\n".into());
    attach(&mut console, &facts()).unwrap();
    assert_eq!(command(&mut console, &facts(), "help").unwrap(), "one\ntwo\n");
    let failure = command(&mut console, &facts(), &"x".repeat(256)).unwrap_err();
    assert_eq!(failure.to_string(), "a command of 256 bytes is too long for the bootloader");
}

#[test]
fn bootargs_that_u_boot_cannot_deliver_are_refused() {
    let mut put = |name: &str, _: &[u8]| Ok(name.to_owned());
    let how = StartCommand::Bootm { at: 0, tree: None };
    let nul =
        stage::<crate::Error>(&facts(), &Boot { image: b"i", bootargs: Some(b"a\0b"), files: &[], how }, &mut put)
            .unwrap_err();
    assert_eq!((nul.to_string(), nul.exit_code()), ("bootargs hold a NUL".to_owned(), 2));
    let words = vec!["a"; BOOTM_WORDS + 1].join(" ");
    let many = Boot { image: b"i", bootargs: Some(words.as_bytes()), files: &[], how };
    assert_eq!(stage(&facts(), &many, &mut put).unwrap_err().exit_code(), 2);
    let tree = StartCommand::Bootm { at: 0, tree: Some((0, b"dtb")) };
    stage::<crate::Error>(&facts(), &Boot { how: tree, ..many }, &mut put).expect("a tree takes any number");
}

#[test]
fn bootargs_become_one_line_of_environment_text() {
    assert_eq!(env_text("bootargs", b" a=$b; \"c d\" #'e' "), b"bootargs= a=$b; \"c d\" #'e' \n");
    assert_eq!(env_text("bootargs", b"a\\b\nc"), b"bootargs=a\\\\b\\\nc\n");
    assert_eq!(env_text("bootargs", b""), b"bootargs=\n");
}

#[test]
fn words_are_cut_as_bootm_cuts_them() {
    let cases: [(&str, &[&str]); 8] = [
        ("", &[]),
        ("a", &["a"]),
        ("a b=c", &["a", "b=c"]),
        ("a ", &["a"]),
        ("a  b", &["a", "", "b"]),
        (" a  ", &["", "a", ""]),
        ("x=\"a b\" \"c\"d e", &["x=\"a b\"", "\"c\"d", "e"]),
        ("a \"b c", &["a", "\"b c"]),
    ];
    for (bootargs, wanted) in cases {
        let words: Vec<_> =
            argv(bootargs.as_bytes()).into_iter().map(|word| std::str::from_utf8(word).unwrap()).collect();
        assert_eq!(words, wanted, "{bootargs:?}");
    }
}
