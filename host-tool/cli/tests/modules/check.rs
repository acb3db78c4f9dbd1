//! Every rule of the module loader, kept and broken, in both byte orders.

use object::Architecture;
use object::Endianness::{self, Big, Little};
use stoop_image::kconfig::Kconfig;
use stoop_kernel::modules::check::{Finding, Rule, check};
use stoop_kernel::modules::symbols::Kernel;
use stoop_kernel::modules::tree::{Source, Tree};

use crate::make_ko::{Ko, TestTree, VERMAGIC};
use crate::{schema, stderr_of, stdout_of};

const SYMVERS: &str = "0x11111111\tmodule_layout\tvmlinux\tEXPORT_SYMBOL\t\n\
0x00000002\tprintk\tvmlinux\tEXPORT_SYMBOL\t\n\
0x00000003\tgpl_fn\tvmlinux\tEXPORT_SYMBOL_GPL\t\n\
0x00000004\tspaced_fn\tvmlinux\tEXPORT_SYMBOL_GPL\tSPACE\n\
0x00000005\tmodule_fn\tdrivers/x\tEXPORT_SYMBOL\t\n";

fn good(endianness: Endianness) -> Ko {
    Ko::new(endianness).import("printk", 2).import("gpl_fn", 3)
}

/// Checks `m.ko`, together with two ordinary modules that are always there.
fn findings_with(ko: &Ko, extra: &[(&str, &Ko)], symvers: &str, config: Option<&str>) -> Vec<Finding> {
    let mut files = TestTree::new();
    files.add("kernel/m.ko", ko);
    for (path, ko) in extra {
        files.add(path, ko);
    }
    let checked = files_len(extra);
    let ordinary = good(Big.min_by(ko));
    files
        .add("kernel/witness1.ko", &ordinary)
        .add("kernel/witness2.ko", &ordinary)
        .add("kernel/witness3.ko", &ordinary);
    files.write("modules.builtin", "kernel/built_in.ko\n");
    let symvers_file = files.root().join("Module.symvers");
    std::fs::write(&symvers_file, symvers).unwrap();
    let tree = Tree::open(&files.directory(), Source::Auto).unwrap();
    let kernel = Kernel::from_symvers(&symvers_file).unwrap();
    let config = config.map(|text| Kconfig::parse(text, "test").unwrap());
    let order: Vec<u32> = (0..checked).collect();
    check(&tree, &order, &kernel, config.as_ref()).unwrap()
}

fn files_len(extra: &[(&str, &Ko)]) -> u32 {
    1 + extra.len() as u32
}

/// The byte order that the kernel has when `ko` is looked at: its own, unless the test is about byte orders.
trait MinBy {
    fn min_by(self, ko: &Ko) -> Endianness;
}

impl MinBy for Endianness {
    fn min_by(self, ko: &Ko) -> Endianness {
        if ko.modinfo.iter().any(|entry| entry == "foreign=1") { self } else { ko.endianness }
    }
}

fn findings(ko: &Ko) -> Vec<Finding> {
    findings_with(ko, &[], SYMVERS, None)
}

fn only(list: &[Finding]) -> &Finding {
    assert_eq!(list.len(), 1, "{list:?}");
    assert!(!list[0].next.is_empty());
    &list[0]
}

#[test]
fn a_module_that_fits_is_accepted_in_both_byte_orders() {
    for endianness in [Big, Little] {
        assert_eq!(findings(&good(endianness)), []);
        let mut weak = good(endianness);
        weak.weak_imports.push("nowhere".to_owned());
        assert_eq!(findings(&weak), [], "a weak symbol may stay undefined");
    }
}

#[test]
fn one_flipped_bit_of_a_crc_is_found_with_both_values() {
    for endianness in [Big, Little] {
        for bit in 0..32 {
            let list = findings(&Ko::new(endianness).import("printk", 2 ^ (1 << bit)));
            let finding = only(&list);
            assert_eq!((finding.rule, finding.symbol.as_deref()), (Rule::Crc, Some("printk")));
            assert_eq!(finding.kernel, "CRC 0x00000002");
            assert_eq!(finding.found, format!("expects {:#010x}", 2u32 ^ (1 << bit)));
        }
    }
}

#[test]
fn a_symbol_that_nobody_exports_is_found() {
    let list = findings(&good(Big).import("nowhere", 5));
    assert_eq!((only(&list).rule, list[0].symbol.as_deref()), (Rule::MissingSymbol, Some("nowhere")));
    // Module.symvers says that another module has it; that module is not in the set.
    let list = findings(&good(Big).import("module_fn", 5));
    assert_eq!(only(&list).rule, Rule::MissingSymbol);
}

#[test]
fn extended_crcs_count_when_they_are_there_and_long_names_are_found() {
    let long = "a_symbol_whose_name_has_more_than_sixty_four_characters_as_rust_and_lto_make_them";
    let symvers = format!("{SYMVERS}0x00000009\t{long}\tvmlinux\tEXPORT_SYMBOL\t\n");
    for endianness in [Big, Little] {
        let with = |printk: u32, old: bool| {
            let mut ko = Ko::new(endianness);
            ko.imports = vec!["printk".to_owned(), long.to_owned()];
            let extended = [("module_layout", 0x1111_1111), ("printk", printk), (long, 9)];
            ko.extended = Some(extended.map(|(name, crc)| (name.to_owned(), crc)).to_vec());
            // What the old section says of the short name does not count.
            ko.versions = old.then(|| vec![("module_layout".to_owned(), 0x1111_1111), ("printk".to_owned(), 7)]);
            findings_with(&ko, &[], &symvers, None)
        };
        for old in [false, true] {
            assert_eq!(with(2, old), []);
            assert_eq!(only(&with(3, old)).rule, Rule::Crc);
        }
    }
}

#[test]
fn extended_names_and_crcs_must_be_as_many() {
    let mut files = TestTree::new();
    let mut ko = good(Big);
    ko.extended = Some(vec![("module_layout".to_owned(), 1), (String::new(), 2)]);
    files.add("kernel/m.ko", &ko);
    let failure = stoop_kernel::modules::ko::Module::parse(&ko.bytes()).unwrap_err();
    assert!(failure.to_string().contains("2 CRCs for 1 names"), "{failure}");
}

#[test]
fn a_namespace_of_modules_is_for_those_it_names_and_imported_by_none() {
    let core = |namespace: &str| {
        let mut core = Ko::new(Big);
        core.exports.push(("secret".to_owned(), 8, true, namespace.to_owned()));
        core
    };
    let with = |user: &str, namespace: &str, info: Option<&str>| {
        let mut ko = Ko::new(Big).import("secret", 8);
        ko.modinfo.extend(info.map(str::to_owned));
        findings_of(&[("kernel/core.ko", &core(namespace)), (&format!("kernel/{user}.ko"), &ko)])
    };
    for user in ["user", "kvm-x", "kvm_intel"] {
        assert_eq!(with(user, "module:user,kvm-*", None), [], "{user}");
    }
    for (user, namespace) in [("other", "module:user,kvm-*"), ("kvm", "module:kvm-*"), ("users", "module:user")] {
        let list = with(user, namespace, None);
        assert_eq!((only(&list).rule, list[0].symbol.as_deref()), (Rule::Namespace, Some("secret")), "{user}");
    }
    let list = with("user", "module:user", Some("import_ns=module:user"));
    assert_eq!((only(&list).rule, list[0].symbol.as_deref()), (Rule::Namespace, None));
}

#[test]
fn a_signature_that_makes_no_sense_is_refused_where_signatures_are_looked_at() {
    let mut ko = good(Little);
    ko.signed = true;
    let whole = ko.bytes();
    let marker = b"~Module signature appended~\n".len();
    let with = |at: usize, byte: u8, config: &str| {
        let mut bytes = whole.clone();
        let end = bytes.len() - marker;
        bytes[end - 12 + at] = byte;
        let mut files = TestTree::new();
        files.add_bytes("kernel/m.ko", &bytes).add("kernel/w.ko", &good(Little));
        let symvers = files.root().join("Module.symvers");
        std::fs::write(&symvers, SYMVERS).unwrap();
        let tree = Tree::open(&files.directory(), Source::Auto).unwrap();
        let config = Kconfig::parse(&format!("CONFIG_MODULES=y\n{config}"), "test").unwrap();
        check(&tree, &[0], &Kernel::from_symvers(&symvers).unwrap(), Some(&config)).unwrap()
    };
    for sig in ["CONFIG_MODULE_SIG=y\n", "CONFIG_MODULE_SIG=y\nCONFIG_MODULE_SIG_FORCE=y\n"] {
        assert_eq!(with(2, 2, sig), []);
        // Another kind; a signer's name; more bytes than there are.
        for (at, byte) in [(2, 1), (3, 1), (8, 0x7f)] {
            assert_eq!(only(&with(at, byte, sig)).rule, Rule::Signature);
        }
    }
    assert_eq!(with(2, 1, ""), []);
}

/// Checks these modules together.
fn findings_of(files: &[(&str, &Ko)]) -> Vec<Finding> {
    let mut tree = TestTree::new();
    for (path, ko) in files {
        tree.add(path, ko);
    }
    let symvers = tree.root().join("Module.symvers");
    std::fs::write(&symvers, SYMVERS).unwrap();
    let order: Vec<u32> = (0..files.len() as u32).collect();
    let opened = Tree::open(&tree.directory(), Source::Auto).unwrap();
    check(&opened, &order, &Kernel::from_symvers(&symvers).unwrap(), None).unwrap()
}

#[test]
fn another_module_layout_is_found() {
    let mut ko = good(Little);
    ko.versions.as_mut().unwrap()[0].1 = 0x1111_1110;
    let list = findings(&ko);
    assert_eq!(only(&list).rule, Rule::ModuleLayout);
    assert!(list[0].kernel.contains("0x11111111") && list[0].found.contains("0x11111110"));
}

#[test]
fn a_module_without_crcs_and_an_import_without_one_are_found() {
    let mut ko = good(Big);
    ko.versions.as_mut().unwrap().retain(|(name, _)| name != "printk");
    let list = findings(&ko);
    assert_eq!((only(&list).rule, list[0].symbol.as_deref()), (Rule::NoCrc, Some("printk")));
    ko.versions = None;
    let list = findings(&ko);
    assert_eq!(only(&list).rule, Rule::NoCrc);
}

#[test]
fn vermagic_counts_without_its_release_only_where_there_are_crcs() {
    let with = |magic: &str| {
        let mut ko = good(Big);
        ko.modinfo[0] = format!("vermagic={magic}");
        ko
    };
    assert_eq!(findings(&with(&VERMAGIC.replace("6.12.0", "6.12.1"))), []);
    let other = VERMAGIC.replace("MIPS32_R2", "MIPS32_R1");
    let list = findings(&with(&other));
    assert_eq!(only(&list).rule, Rule::Vermagic);
    assert!(list[0].kernel.contains("MIPS32_R2") && list[0].found.contains("MIPS32_R1"));
    // Without CRCs anywhere, the release counts.
    let plain = SYMVERS.replace("0x11111111", "0x00000000");
    let plain: String = plain.lines().map(|line| format!("0x00000000{}\n", &line[10..])).collect();
    let config = "CONFIG_MODULES=y\nCONFIG_SMP=y\nCONFIG_MODULE_UNLOAD=y\nCONFIG_MODVERSIONS=y\nCONFIG_MIPS=y\nCONFIG_CPU_MIPS32_R2=y\n";
    let mut ko = with(VERMAGIC);
    ko.versions = None;
    assert_eq!(findings_with(&ko, &[], &plain, Some(config)), []);
    let mut ko = with(&VERMAGIC.replace("6.12.0", "6.12.1"));
    ko.versions = None;
    let list = findings_with(&ko, &[], &plain, Some(config));
    assert_eq!(only(&list).rule, Rule::Vermagic);
}

#[test]
fn gpl_only_symbols_need_a_licence_that_allows_them() {
    for (licence, fits) in
        [("GPL", true), ("Dual BSD/GPL", true), ("GPL v2", true), ("Proprietary", false), ("BSD", false)]
    {
        let mut ko = good(Big);
        ko.modinfo[1] = format!("license={licence}");
        let list = findings(&ko);
        if fits {
            assert_eq!(list, [], "{licence}");
        } else {
            assert_eq!((only(&list).rule, list[0].symbol.as_deref()), (Rule::GplOnly, Some("gpl_fn")));
            assert!(list[0].found.contains(licence));
        }
    }
}

#[test]
fn a_gpl_module_cannot_lean_on_a_proprietary_one() {
    let mut proprietary = Ko::new(Big).export("secret", 8);
    proprietary.modinfo[1] = "license=Proprietary".to_owned();
    let user = good(Big).import("secret", 8);
    let list = findings_with(&proprietary, &[("kernel/user.ko", &user)], SYMVERS, None);
    assert_eq!((only(&list).rule, list[0].symbol.as_deref()), (Rule::GplOnly, Some("secret")));
    assert_eq!(list[0].module, "kernel/user.ko");
}

#[test]
fn a_namespace_has_to_be_imported_unless_the_kernel_is_lenient() {
    let ko = good(Little).import("spaced_fn", 4);
    let list = findings(&ko);
    assert_eq!((only(&list).rule, list[0].symbol.as_deref()), (Rule::Namespace, Some("spaced_fn")));
    assert!(list[0].next.contains("SPACE"));
    assert_eq!(findings(&ko.clone().info("import_ns=SPACE")), []);
    let lenient = "CONFIG_MODULES=y\nCONFIG_MODULE_ALLOW_MISSING_NAMESPACE_IMPORTS=y\n";
    assert_eq!(findings_with(&ko, &[], SYMVERS, Some(lenient)), []);
}

#[test]
fn another_size_of_struct_module_is_found() {
    let mut ko = good(Big);
    ko.this_module_size = 0x280;
    let list = findings(&ko);
    assert_eq!(only(&list).rule, Rule::ModuleSize);
    assert!(list[0].kernel.contains("0x240") && list[0].found.contains("0x280"));
}

#[test]
fn another_machine_word_size_or_byte_order_is_found_and_nothing_else_is_said() {
    let mut arm = Ko::new(Little).info("foreign=1").import("nowhere", 1);
    arm.architecture = Architecture::Aarch64;
    for ko in [arm, Ko::new(Little).info("foreign=1").import("nowhere", 1)] {
        let list = findings(&ko);
        assert_eq!(only(&list).rule, Rule::Target);
        assert!(list[0].kernel.contains("big endian") && list[0].found.contains("little endian"), "{list:?}");
    }
}

#[test]
fn a_module_that_is_built_in_is_found() {
    let list = findings_with(&good(Big), &[("kernel/built-in.ko", &good(Big))], SYMVERS, None);
    assert_eq!((only(&list).rule, list[0].module.as_str()), (Rule::BuiltIn, "kernel/built-in.ko"));
}

#[test]
fn an_export_that_comes_twice_is_found_whoever_has_it_first() {
    let list = findings(&good(Big).export("printk", 2));
    assert_eq!((only(&list).rule, list[0].symbol.as_deref()), (Rule::DuplicateExport, Some("printk")));
    let (first, second) = (good(Big).export("x", 1), good(Big).export("x", 1));
    let list = findings_with(&first, &[("kernel/n.ko", &second)], SYMVERS, None);
    assert_eq!((only(&list).rule, list[0].module.as_str()), (Rule::DuplicateExport, "kernel/n.ko"));
    assert!(list[0].kernel.contains("kernel/m.ko"));
}

#[test]
fn members_are_checked_against_each_other() {
    for absolute_crcs in [false, true] {
        for endianness in [Big, Little] {
            let mut exporter = Ko::new(endianness).export("x", 0x1234_5678);
            exporter.absolute_crcs = absolute_crcs;
            exporter.exports[0].3 = "NS".to_owned();
            let user = Ko::new(endianness).import("x", 0x1234_5678).info("import_ns=NS");
            assert_eq!(findings_with(&exporter, &[("kernel/u.ko", &user)], SYMVERS, None), []);
            let other = Ko::new(endianness).import("x", 0x1234_5679);
            let rules: Vec<Rule> = findings_with(&exporter, &[("kernel/u.ko", &other)], SYMVERS, None)
                .iter()
                .map(|finding| finding.rule)
                .collect();
            assert_eq!(rules, [Rule::Namespace, Rule::Crc]);
        }
    }
}

#[test]
fn crcs_of_64_bit_modules_are_the_low_half_of_a_long() {
    let mut ko = good(Little);
    ko.architecture = Architecture::Aarch64;
    let bytes = ko.bytes();
    let module = stoop_kernel::modules::ko::Module::parse(&bytes).unwrap();
    assert!(module.target.is_64);
    assert_eq!(module.versions.unwrap(), [("module_layout", 0x1111_1111), ("printk", 2), ("gpl_fn", 3)]);
}

#[test]
fn a_kernel_that_wants_signatures_or_no_modules_says_so() {
    let force = "CONFIG_MODULES=y\nCONFIG_MODULE_SIG_FORCE=y\n";
    let list = findings_with(&good(Big), &[], SYMVERS, Some(force));
    assert_eq!(only(&list).rule, Rule::Signature);
    let mut signed = good(Big);
    signed.signed = true;
    assert_eq!(findings_with(&signed, &[], SYMVERS, Some(force)), []);
    let list = findings_with(&good(Big), &[], SYMVERS, Some("# CONFIG_MODULES is not set\n"));
    assert_eq!(only(&list).rule, Rule::NoModules);
}

#[test]
fn the_command_names_module_symbol_values_and_next_step_and_fails() {
    let mut files = TestTree::new();
    files.add("kernel/m.ko", &good(Big).import("nowhere", 1)).add("kernel/n.ko", &good(Big));
    let symvers = files.root().join("Module.symvers");
    std::fs::write(&symvers, SYMVERS).unwrap();
    let arguments = ["modules", "check", "--modules", &files.text(), "--symvers", symvers.to_str().unwrap()];
    let text = stderr_of(&[&arguments[..], &["m"]].concat());
    assert!(text.contains("kernel/m.ko: nowhere:") && text.contains("no such export"), "{text}");
    assert!(stdout_of(&[&arguments[..], &["n"]].concat()).starts_with("1 modules fit"));
    // The installed layout is enough to find Module.symvers: OUT/lib/modules/VERSION below OUT.
    assert!(stdout_of(&["modules", "check", "--modules", &files.text(), "n"]).starts_with("1 modules fit"));
    let json = crate::stoop(&[&arguments[..], &["--json", "m"]].concat());
    assert_eq!(json.status.code(), Some(1));
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    schema::check("stoop modules check", &json);
    assert_eq!(json["ok"], false);
    assert_eq!(json["findings"][0]["rule"], "missing-symbol");
    assert_eq!(json["findings"][0]["symbol"], "nowhere");
}

#[test]
fn a_symvers_that_is_none_or_empty_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("Module.symvers");
    for (text, told) in
        [("hello\n", "line 1"), ("0xzz\ta\tvmlinux\tEXPORT_SYMBOL\t\n", "line 1"), ("", "exports no symbol")]
    {
        std::fs::write(&path, text).unwrap();
        let error = Kernel::from_symvers(&path).unwrap_err();
        assert!(error.to_string().contains(told), "{error}");
    }
}
