//! What the lab's codes mean, for `stoop explain`. The message behind a code has the particulars: address, port, console lines.

use stoop_image::explain::Explanation;

/// Every code of this crate, in the order of their numbers.
pub fn all() -> impl Iterator<Item = Explanation> {
    TEXTS.iter().map(|&(code, title, meaning, causes, advice)| Explanation {
        code: code.to_owned(),
        title,
        meaning,
        causes,
        advice,
    })
}

/// Code, title, meaning, causes, advice.
type Text = (&'static str, &'static str, &'static str, &'static str, &'static str);

const TEXTS: &[Text] = &[
    (
        "L001",
        "a file of the lab cannot be read or written",
        "The operating system refused a log, a served file or a backup.",
        "A full disk, or a folder that is not there or not yours.",
        "Look at the folder with `ls -ld` and at the disk with `df`.",
    ),
    (
        "L002",
        "the work at the board was interrupted",
        "Somebody pressed Ctrl-C or asked the process to end. The exit code is 130; the board is left as it was at that moment.",
        "Ctrl-C, or a CI system that stops a job.",
        "Run the command again: flashing goes on where it stopped.",
    ),
    (
        "L010",
        "the console's address cannot be understood",
        "What stands behind --serial is neither a device nor an address of a known kind.",
        "A bare name such as ttyUSB0, a forgotten port number, or an IPv6 address without brackets.",
        "Give /dev/ttyUSB0, tcp://HOST:PORT, rfc2217://HOST:PORT or exec:COMMAND.",
    ),
    (
        "L011",
        "there is no such serial port",
        "The device's name leads nowhere.",
        "The adapter is not plugged in, or came back under another number.",
        "Use a name under /dev/serial/by-id: it stays when the number changes.",
    ),
    (
        "L012",
        "the serial port may not be opened by this user",
        "The device is there and its permissions forbid it.",
        "The user is not in the device's group, often `dialout`.",
        "Add the user to the group and log in again.",
    ),
    (
        "L013",
        "another program has the serial port",
        "A lock file or the kernel says that the port is in use. Two readers would each get a part of what the board says.",
        "A terminal program in another window, ser2net, or a second stoop.",
        "End the other program, whose name and number the message has where they are known.",
    ),
    (
        "L014",
        "the console cannot be opened",
        "The connection was refused, timed out, or the device is no serial port.",
        "A console server that does not run, another port, or a firewall.",
        "Try the host and port with `nc HOST PORT`.",
    ),
    (
        "L015",
        "the console server does not agree on the settings",
        "The other end does not speak RFC 2217, or refuses the speed.",
        "A port that carries bare bytes, or a plain Telnet server.",
        "Use tcp:// for bare bytes; in ser2net's file the accepter is `telnet(rfc2217),tcp,PORT`.",
    ),
    (
        "L016",
        "this kind of console cannot do that",
        "A bare TCP port or a command has no break and no speed.",
        "A command that needs them, given a console without.",
        "Use the device itself or rfc2217://.",
    ),
    (
        "L017",
        "the console was lost",
        "The open connection broke and did not come back in time. A serial port is waited for by its stable name first.",
        "A pulled plug, or a console server that was restarted.",
        "Plug it in and run the command again.",
    ),
    (
        "L020",
        "the TFTP port is taken",
        "Another program listens on UDP port 69 of this address.",
        "dnsmasq, tftpd-hpa or a second stoop.",
        "Stop it for now, use another address of this machine, or hand files to it with --tftp-folder.",
    ),
    (
        "L021",
        "the TFTP port is forbidden",
        "Ports below 1024 need a privilege unless the system allows them.",
        "An ordinary user on a system with the usual limit.",
        "Set net.ipv4.ip_unprivileged_port_start to 69 with sysctl, which lasts until the next start.",
    ),
    (
        "L022",
        "the address is not one of this machine's",
        "The TFTP server can only listen on an address that an interface has.",
        "A mistyped address, or an interface that is down.",
        "See `ip address`, and add the address to the interface at the board's side.",
    ),
    (
        "L023",
        "every address at once is not served",
        "With several interfaces an answer could come from another address than the one that was asked, and bootloaders drop that.",
        "0.0.0.0 as the address.",
        "Give the address of the interface at the board's side.",
    ),
    (
        "L024",
        "the TFTP server cannot listen",
        "The operating system refused the socket for another reason, which the message has.",
        "Limits on open files, or a network namespace without the interface.",
        "Look at what the operating system says.",
    ),
    (
        "L030",
        "the power switch's address cannot be understood",
        "What stands behind --power is of no known kind or lacks a part.",
        "A forgotten kind of relay, path or outlet.",
        "See `stoop power --help`; anything with a command line works by cmd:COMMAND.",
    ),
    (
        "L031",
        "the power switch's command failed",
        "The command ended with another status than 0.",
        "A missing program, permission or device.",
        "Run the command by hand.",
    ),
    (
        "L032",
        "the power switch cannot be reached",
        "Nobody answers at its address.",
        "A relay without power, in another network, or with a new address.",
        "Open its page in a browser.",
    ),
    (
        "L033",
        "the power switch refuses",
        "It answered that it will not do it.",
        "A wrong password, path or outlet.",
        "Compare with its own page or manual.",
    ),
    (
        "L034",
        "the power switch did not switch",
        "It was told, and says itself that it is not as it was told to be.",
        "A relay that is locked, worn, or also switched by another program.",
        "Look at the relay itself.",
    ),
    (
        "L035",
        "the GPIO line cannot be used",
        "The chip or line is not there, is taken, or may not be used by this user.",
        "Another number of chip after a restart, or a driver that has the line.",
        "See `gpioinfo`.",
    ),
    (
        "L040",
        "the board's prompt is not known",
        "Without the prompt nobody can tell when the bootloader listens.",
        "A board file without it.",
        "Add `prompt`, and `interrupt` where it boots by itself, to the bootloader table.",
    ),
    (
        "L041",
        "the board is silent",
        "Not one byte came.",
        "No power; receive and transmit swapped; no common ground; a port that belongs to something else.",
        "Check power, then the three wires, with the board's label of the pins at hand.",
    ),
    (
        "L042",
        "what the board says is no text",
        "Many bytes came that no console sends.",
        "Another speed, an inverted level (RS-232 at a board with 3.3 V), or a loose ground.",
        "Try --speed 57600, 38400 and 9600, then the adapter's levels.",
    ),
    (
        "L043",
        "the prompt did not come",
        "The board talks and does not come to the bootloader's prompt.",
        "It boots by itself because the key is another, or it was not restarted.",
        "Compare the console's lines with `interrupt` and `prompt` of the board file.",
    ),
    (
        "L044",
        "it is another board",
        "Its prompt, RAM or flash differs from the board file. Nothing was written.",
        "A cable in the neighbour's port, or a board file for another revision.",
        "Name the right board, or correct the board file if the figures are its.",
    ),
    (
        "L045",
        "what is typed arrives garbled",
        "The echo differs from what was typed, also when typed slowly. Nothing was run.",
        "Long or loose wires, or somebody else who types.",
        "Shorten the wires and see who else has the console.",
    ),
    (
        "L046",
        "a command did not return",
        "The prompt did not come back in time.",
        "A hung bootloader, power that went away, or a very slow flash.",
        "See the console's last lines and restart the board.",
    ),
    (
        "L047",
        "the board restarted in the middle",
        "It began anew while a command ran.",
        "A weak supply, or a watchdog.",
        "Use the supply that belongs to the board; feed or stop the watchdog.",
    ),
    (
        "L048",
        "the console went away",
        "Its other end closed it while the bootloader was talked to.",
        "A pulled plug or a console server that ended.",
        "Plug it in and run the command again.",
    ),
    (
        "L049",
        "the bootloader lacks a command",
        "It says that it does not know it.",
        "A vendor's version that was cut down.",
        "See `help` at its prompt; write from Linux instead.",
    ),
    (
        "L061",
        "the board has no network link",
        "The bootloader says that its Ethernet port is not connected or has no PHY.",
        "The cable is in a port that the bootloader does not use, or this machine's interface is down.",
        "Try the other ports, WAN and the first LAN port first.",
    ),
    (
        "L062",
        "the board got no address",
        "Nobody answered the bootloader's DHCP.",
        "A cable straight to this machine, which serves no DHCP.",
        "Give it an address with --board-address.",
    ),
    (
        "L063",
        "this machine has no address in the board's network",
        "The board could not answer to any address of this machine.",
        "An interface without an address of that network.",
        "Add one, or give --address and --board-address.",
    ),
    (
        "L064",
        "the board finds nobody (ARP)",
        "It asks who has the server's address and hears nothing.",
        "A cable in another interface, two networks, or a switch that keeps them apart.",
        "See that both addresses are in one network and on one cable.",
    ),
    (
        "L065",
        "no request arrived",
        "The bootloader tried to fetch the image and the TFTP server heard nothing.",
        "A firewall on this machine is by far the likeliest.",
        "Allow UDP port 69 from the board, and watch with tcpdump.",
    ),
    (
        "L066",
        "another TFTP server answered",
        "The bootloader got an answer that is not of this server.",
        "A router or a PXE server in the same network.",
        "Use a cable of its own to the board.",
    ),
    (
        "L067",
        "the board hears no answer",
        "Its request arrived, and it acknowledged nothing.",
        "A firewall that lets requests in and the board's further packets not, or a one-way cable.",
        "Allow UDP from the board's address to all ports.",
    ),
    (
        "L068",
        "this machine cannot send to the board",
        "The operating system refuses to send the packets.",
        "A firewall for outgoing packets, or no route.",
        "See `ip route get ADDRESS` and the firewall's rules.",
    ),
    (
        "L069",
        "the board asked for another file",
        "Only the image is served, by one name.",
        "`bootfile` in the bootloader's environment, or a script that fetches by itself.",
        "Clear it, and start anew.",
    ),
    (
        "L070",
        "the board sent another kind of request",
        "It wanted to write, or asked for text mode.",
        "Something else was typed at its console.",
        "See the console's log.",
    ),
    (
        "L071",
        "the board's TFTP client gave up",
        "It sent an error of its own, whose words the message has.",
        "No room at the address it fetches to.",
        "See the words.",
    ),
    (
        "L072",
        "the transfer stopped",
        "It began, and no block was acknowledged for long.",
        "A bad cable, a duplex mismatch, or power that went away.",
        "Try another cable, then another port.",
    ),
    (
        "L073",
        "the bootloader does not start the image",
        "It has the image and refuses it, or comes back to its prompt.",
        "A container that it does not know, or damaged RAM.",
        "Compare `containers` of the board file with what it says.",
    ),
    (
        "L074",
        "the other TFTP server does not deliver the image",
        "The image was put into --tftp-folder, and the server there did not send it.",
        "Another folder than the server's, or a file that it may not read.",
        "Fetch the file from another machine, with curl tftp://…",
    ),
    (
        "L081",
        "the bootloader does not read the flash as memory",
        "What stoop writes is NOR flash that the CPU reads at addresses, by the bootloader and by ssh alike.",
        "NAND, eMMC, or SPI flash that only `sf` or a driver reaches.",
        "Write it by the updater of the system that runs there, or by the bootloader's own commands.",
    ),
    (
        "L082",
        "there is no such flash partition",
        "The board's flash map does not have it.",
        "Another board's name for it.",
        "See `stoop boards show NAME`.",
    ),
    (
        "L083",
        "the image does not fit the board's RAM",
        "The bootloader fetches the whole file before it writes.",
        "A large root filesystem on a small board.",
        "Write it from Linux.",
    ),
    (
        "L084",
        "nothing shows that it is the right board",
        "The bootloader does not say how large its flash is. Nothing was written.",
        "A vendor's bootloader of few words.",
        "Look at the board, then give --trust-board.",
    ),
    (
        "L085",
        "flash was not erased",
        "The bootloader's words about `erase` are not those of success. The slot is not marked good.",
        "Sectors that are locked by the chip or by `protect`.",
        "See `flinfo` for RO sectors.",
    ),
    (
        "L086",
        "flash was not written",
        "The bootloader's words about `cp.b` are not those of success. The slot is not marked good.",
        "A driver that fails, a worn chip, or a weak supply.",
        "Run it again; if it stops at the same address, the chip or the driver is bad.",
    ),
    (
        "L087",
        "flash differs from the file",
        "What was written was compared and one byte is not right. The slot is not marked good.",
        "A bit that cannot be programmed, or a driver that writes only a part.",
        "Run it again; if it is the same address, the chip or the driver is bad.",
    ),
    (
        "L088",
        "RAM changed the file",
        "Flash is as RAM, and both have another sum than the file. The slot may look good to a bootloader; it is not.",
        "Bad RAM, or something else that writes there.",
        "Run it again; then check the supply and the RAM.",
    ),
    (
        "L089",
        "flash could not be compared",
        "The bootloader's `cmp.b` is missing or says something unknown. The slot is not marked good.",
        "A vendor's version that was cut down.",
        "Write it from Linux.",
    ),
    (
        "L090",
        "flash cannot be read whole",
        "What came through the console has another sum than the bootloader's, several times.",
        "Lost or changed characters on the line.",
        "Shorten the wires, or use a lower speed on both sides.",
    ),
    (
        "L091",
        "a command on the board failed",
        "ssh could not log in, or a command there ended with another status than 0. What was written before it was read back.",
        "A key that the board does not have, a root filesystem without mtd-utils, or flash that is busy.",
        "Log in by hand and run the command that the message has.",
    ),
];

#[cfg(test)]
mod tests {
    use regex::Regex;

    const SOURCES: [&str; 7] = [
        include_str!("error.rs"),
        include_str!("bootloader/error.rs"),
        include_str!("connection/error.rs"),
        include_str!("flash/error.rs"),
        include_str!("netboot/error.rs"),
        include_str!("power/error.rs"),
        include_str!("tftp/error.rs"),
    ];

    #[test]
    fn every_code_is_explained_once_and_no_other() {
        let code = Regex::new(r#""(L\d{3})""#).expect("a pattern");
        let found = SOURCES.iter().flat_map(|source| code.captures_iter(source).map(|found| found[1].to_owned()));
        let mut used: Vec<String> = found.collect();
        used.sort();
        let explained: Vec<String> = super::all().map(|each| each.code).collect();
        assert_eq!(used, explained);
    }
}
