//! Makes small module files and trees of them.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use object::write::{Object, Symbol, SymbolSection};
use object::{Architecture, BinaryFormat, Endianness, SectionKind, SymbolFlags, SymbolKind, SymbolScope};

/// A module to be made.
#[derive(Clone, Debug)]
pub struct Ko {
    pub architecture: Architecture,
    pub endianness: Endianness,
    pub imports: Vec<String>,
    pub weak_imports: Vec<String>,
    /// Name, CRC, GPL-only, namespace.
    pub exports: Vec<(String, u32, bool, String)>,
    pub modinfo: Vec<String>,
    /// `__versions`; none without MODVERSIONS.
    pub versions: Option<Vec<(String, u32)>>,
    /// `__version_ext_crcs` and `__version_ext_names`.
    pub extended: Option<Vec<(String, u32)>>,
    pub this_module_size: usize,
    pub signed: bool,
    /// CRCs as absolute symbols, as kernels before 5.x had them, and not in `__kcrctab`.
    pub absolute_crcs: bool,
}

pub const VERMAGIC: &str = "6.12.0 SMP mod_unload modversions MIPS32_R2 32BIT ";

impl Ko {
    pub fn new(endianness: Endianness) -> Self {
        Ko {
            architecture: Architecture::Mips,
            endianness,
            imports: Vec::new(),
            weak_imports: Vec::new(),
            exports: Vec::new(),
            modinfo: vec![format!("vermagic={VERMAGIC}"), "license=GPL".to_owned()],
            versions: Some(vec![("module_layout".to_owned(), 0x1111_1111)]),
            extended: None,
            this_module_size: 0x240,
            signed: false,
            absolute_crcs: false,
        }
    }

    /// Imports a symbol, with this CRC.
    pub fn import(mut self, name: &str, crc: u32) -> Self {
        self.imports.push(name.to_owned());
        self.versions.iter_mut().for_each(|versions| versions.push((name.to_owned(), crc)));
        self
    }

    pub fn export(mut self, name: &str, crc: u32) -> Self {
        self.exports.push((name.to_owned(), crc, false, String::new()));
        self
    }

    pub fn info(mut self, entry: &str) -> Self {
        self.modinfo.push(entry.to_owned());
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut object = Object::new(BinaryFormat::Elf, self.architecture, self.endianness);
        let word = |value: u32| match self.endianness {
            Endianness::Big => value.to_be_bytes(),
            Endianness::Little => value.to_le_bytes(),
        };
        let mut section = |name: &str, data: &[u8]| {
            let id = object.add_section(Vec::new(), name.into(), SectionKind::ReadOnlyData);
            object.append_section_data(id, data, 4);
            id
        };
        section(".modinfo", (self.modinfo.join("\0") + "\0").as_bytes());
        section(".gnu.linkonce.this_module", &vec![0; self.this_module_size]);
        if let Some(versions) = &self.versions {
            let is_64 = self.architecture == Architecture::Aarch64;
            let mut data = Vec::new();
            for (name, crc) in versions {
                let mut record = Vec::new();
                match (is_64, self.endianness) {
                    (false, _) => record.extend(word(*crc)),
                    (true, Endianness::Big) => record.extend(u64::from(*crc).to_be_bytes()),
                    (true, Endianness::Little) => record.extend(u64::from(*crc).to_le_bytes()),
                }
                record.extend(name.as_bytes());
                record.resize(64, 0);
                data.extend(record);
            }
            section("__versions", &data);
        }
        if let Some(extended) = &self.extended {
            section("__version_ext_crcs", &extended.iter().flat_map(|(_, crc)| word(*crc)).collect::<Vec<_>>());
            let names: String = extended.iter().map(|(name, _)| format!("{name}\0")).collect();
            section("__version_ext_names", names.as_bytes());
        }
        let plain = section("__ksymtab", &[0; 12]);
        let gpl = section("__ksymtab_gpl", &[0; 12]);
        let crcs: Vec<u8> = self.exports.iter().flat_map(|(_, crc, ..)| word(*crc)).collect();
        let crc_section = section("__kcrctab", &crcs);
        let mut strings = vec![0];
        let mut namespaces = Vec::new();
        for (.., namespace) in &self.exports {
            namespaces.push(strings.len());
            strings.extend(namespace.as_bytes());
            strings.push(0);
        }
        let string_section = section("__ksymtab_strings", &strings);
        let mut symbol = |name: &str, value: u64, weak: bool, place: SymbolSection, scope: SymbolScope| {
            object.add_symbol(Symbol {
                name: name.into(),
                value,
                size: 0,
                kind: SymbolKind::Data,
                scope,
                weak,
                section: place,
                flags: SymbolFlags::None,
            });
        };
        for (at, (name, crc, gpl_only, _)) in self.exports.iter().enumerate() {
            let table = if *gpl_only { gpl } else { plain };
            symbol(&format!("__ksymtab_{name}"), 0, false, SymbolSection::Section(table), SymbolScope::Compilation);
            let namespace = namespaces[at] as u64;
            let place = SymbolSection::Section(string_section);
            symbol(&format!("__kstrtabns_{name}"), namespace, false, place, SymbolScope::Compilation);
            let (value, place) = if self.absolute_crcs {
                (u64::from(*crc), SymbolSection::Absolute)
            } else {
                (4 * at as u64, SymbolSection::Section(crc_section))
            };
            symbol(&format!("__crc_{name}"), value, false, place, SymbolScope::Compilation);
        }
        for name in &self.imports {
            symbol(name, 0, false, SymbolSection::Undefined, SymbolScope::Unknown);
        }
        for name in &self.weak_imports {
            symbol(name, 0, true, SymbolSection::Undefined, SymbolScope::Unknown);
        }
        let mut bytes = object.write().expect("an ELF file");
        if self.signed {
            // Signature, then kind 2 (PKCS#7) and the signature's length, then the marker.
            bytes.extend(b"SIGNED\0\0\x02\0\0\0\0\0\0\0\0\x06~Module signature appended~\n");
        }
        bytes
    }
}

/// A `lib/modules/6.12.0` in a temporary directory.
pub struct TestTree {
    root: tempfile::TempDir,
    order: Vec<String>,
}

impl TestTree {
    pub fn new() -> Self {
        let root = tempfile::tempdir().expect("a directory");
        std::fs::create_dir_all(root.path().join("lib/modules/6.12.0/kernel")).expect("a directory");
        let tree = TestTree { root, order: Vec::new() };
        // depmod warns when they are missing.
        tree.write("modules.builtin", "").write("modules.builtin.modinfo", "");
        tree
    }

    pub fn root(&self) -> &Path {
        self.root.path()
    }

    pub fn directory(&self) -> PathBuf {
        self.root.path().join("lib/modules/6.12.0")
    }

    pub fn text(&self) -> String {
        self.directory().to_str().expect("text").to_owned()
    }

    /// Adds a module, compressed as its ending says.
    pub fn add(&mut self, path: &str, ko: &Ko) -> &mut Self {
        self.add_bytes(path, &ko.bytes())
    }

    pub fn add_bytes(&mut self, path: &str, bytes: &[u8]) -> &mut Self {
        let bytes = match path.rsplit('.').next() {
            Some("xz") => {
                let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
                encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("xz")
            }
            Some("zst") => zstd::encode_all(bytes, 1).expect("zstd"),
            Some("gz") => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("gzip")
            }
            _ => bytes.to_vec(),
        };
        let file = self.directory().join(path);
        std::fs::create_dir_all(file.parent().expect("a parent")).expect("a directory");
        std::fs::write(file, bytes).expect("a file");
        let plain = path.trim_end_matches(".xz").trim_end_matches(".zst").trim_end_matches(".gz");
        self.order.push(plain.to_owned());
        self.write("modules.order", &self.order.iter().map(|path| format!("{path}\n")).collect::<String>());
        self
    }

    pub fn write(&self, name: &str, text: &str) -> &Self {
        std::fs::write(self.directory().join(name), text).expect("a file");
        self
    }

    /// Runs depmod on it.
    pub fn depmod(&self) {
        let status = std::process::Command::new("depmod").arg("-b").arg(self.root()).arg("6.12.0").status();
        assert!(status.expect("depmod").success());
    }

    /// What modprobe would load for a name, as paths in the tree. A module that comes again is already loaded then.
    pub fn modprobe(&self, name: &str) -> Vec<String> {
        modprobe(self.root(), "6.12.0", name)
    }
}

/// As [`TestTree::modprobe`], for any root directory.
pub fn modprobe(root: &Path, version: &str, name: &str) -> Vec<String> {
    let output = std::process::Command::new("modprobe")
        .args(["-C", "/dev/null", "--show-depends", "-S", version, "-d"])
        .arg(root)
        .arg(name)
        .output()
        .expect("modprobe");
    assert!(output.status.success(), "modprobe {name}: {}", String::from_utf8_lossy(&output.stderr));
    let prefix = format!("insmod {}/lib/modules/{version}/", root.canonicalize().expect("a path").display());
    let mut order: Vec<String> = Vec::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        if let Some(path) = line.strip_prefix(&prefix) {
            let path = path.trim().to_owned();
            if !order.contains(&path) {
                order.push(path);
            }
        } else {
            assert!(line.starts_with("builtin "), "{line}");
        }
    }
    order
}
