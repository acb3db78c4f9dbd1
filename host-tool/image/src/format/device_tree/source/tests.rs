use super::*;

/// A board and the part that it shares with a sister, in the manner of OpenWrt's.
const BOARD: &str = r#"// A comment with "quotes" and a { brace
#include <dt-bindings/gpio/gpio.h>
#include "family/chip.dtsi"
#define LED_ON(x) \
	GPIO_ACTIVE_LOW

/ {
	model = "A \"quoted\" board // no comment";
	compatible = "vendor,board", "vendor,chip";
	leds { led_status: status { gpios = <&gpio 12 LED_ON(1)>; }; };
};

&flash0 {
	partitions {
		compatible = "fixed-partitions";
		#address-cells = <1>;
		#size-cells = <1>;

		boot: partition@0 { label = "u-boot"; reg = <0x0 0x20000>; read-only; };
		partition@20000 { label = "firmware"; reg = <0x20000 (0x7d0000)>; }; /* the rest
		of it */
	};
};

&boot { label = "boot"; };
/delete-node/ &unused;
&nowhere { status = "okay"; mac = [00 1a 2B]; wide = /bits/ 64 <1>; id = /bits/ 8 <0x53 10>; };
"#;

const CHIP: &str = r#"/dts-v1/;
/ {
	#address-cells = <1>;
	memory@0 { device_type = "memory"; reg = <0 0x4000000>; };
	unused: thing { };
	spi { flash0: flash@0 { compatible = "jedec,spi-nor"; old; spi-max-frequency = <25000000>;
		/delete-property/ old; }; };
};
"#;

fn source(text: &str) -> Result<Source> {
    parse("board.dts", text, &|name| (name == "chip.dtsi").then(|| CHIP.to_owned()))
}

#[test]
fn a_board_and_what_it_includes_become_one_tree() {
    let Source { root, missing } = source(BOARD).unwrap();
    assert!(missing.is_empty(), "{missing:?}");
    assert_eq!(root.get("model"), Some(&b"A \"quoted\" board // no comment\0"[..]));
    assert_eq!(root.get("compatible"), Some(&b"vendor,board\0vendor,chip\0"[..]));
    assert_eq!(root.cell("#address-cells"), Some(1));
    let flash = root.child("spi").and_then(|spi| spi.child("flash@0")).unwrap();
    assert_eq!(flash.cell("spi-max-frequency"), Some(25_000_000));
    assert_eq!(flash.get("old"), None);
    let parts = flash.child("partitions").unwrap();
    let names: Vec<_> = parts.children.iter().map(|child| child.name.as_str()).collect();
    assert_eq!(names, ["partition@0", "partition@20000"]);
    assert_eq!(parts.children[0].get("label"), Some(&b"boot\0"[..]));
    assert_eq!(parts.children[0].get("read-only"), Some(&b""[..]));
    assert_eq!(parts.children[1].get("reg"), Some(&[0, 2, 0, 0, 0, 0x7d, 0, 0][..]));
    assert_eq!(root.child("thing"), None);
}

#[test]
fn what_only_headers_know_is_unknown_and_the_rest_is_not() {
    let root = source(BOARD).unwrap().root;
    let gpios = root.child("leds").and_then(|leds| leds.child("status")).and_then(|led| led.get("gpios")).unwrap();
    assert_eq!(gpios, [[0xff; 4], [0, 0, 0, 12], [0xff; 4]].concat());
}

#[test]
fn a_label_of_a_missing_file_keeps_what_is_said_of_it() {
    let Source { root, .. } = source(BOARD).unwrap();
    let nowhere = root.child("&nowhere").unwrap();
    assert_eq!(nowhere.get("mac"), Some(&[0, 0x1a, 0x2b][..]));
    assert_eq!(nowhere.get("wide"), Some(&[0, 0, 0, 0, 0, 0, 0, 1][..]));
    assert_eq!(nowhere.get("id"), Some(&[0x53, 10][..]));
    let Source { missing, .. } = parse("board.dts", BOARD, &|_| None).unwrap();
    assert_eq!(missing, ["chip.dtsi"]);
}

#[test]
fn what_is_no_source_is_refused_with_its_line() {
    for (text, line, expected) in [
        ("/ {\n  a = <1>;\n", 3, "`}`"),
        ("/ {\n  a = <1;\n};\n", 2, "`>`"),
        ("/ {\n};\nhello\n", 3, "a node"),
        ("/ { a = ; };", 1, "a value"),
        ("/ { b { } };", 1, "`;`"),
    ] {
        let failure = source(text).unwrap_err();
        assert!(failure.to_string().starts_with(&format!("board.dts: line {line}: expected {expected}")), "{failure}");
    }
}

#[test]
fn a_file_that_includes_itself_ends_in_an_error() {
    let text = "#include \"self.dtsi\"\n";
    let failure = parse("self.dtsi", text, &|_| Some(text.to_owned())).unwrap_err();
    assert!(matches!(failure, crate::Error::DeviceTree(super::Error::SourceTooLarge { nested: 16, .. })), "{failure}");
}

#[test]
fn a_file_cut_anywhere_is_read_or_refused_without_panic() {
    for end in (0..BOARD.len()).filter(|end| BOARD.is_char_boundary(*end)) {
        let _ = source(&BOARD[..end]);
    }
}
