//! The rules for what is displayed, and for names that are put into commands.

use super::Rules;
use crate::board::types::Watchdog;

/// Bytes of the longest name of a partition: no map of the boards that come with stoop has half as long a one.
const LONGEST_NAME: usize = 64;

impl Rules<'_> {
    /// Everything that people read: a line end or an escape would forge what a terminal shows.
    pub(super) fn texts_are_plain(&mut self, watchdog: Option<&Watchdog>) {
        let (form, loader) = (&self.file.form, &self.file.form.bootloader);
        let needed = [("title", &form.title), ("chip", &form.chip), ("bootloader.name", &loader.name)];
        let optional = [
            ("bootloader.vendor-container", loader.vendor_container.as_ref()),
            ("bootloader.flash-command", loader.flash_command.as_ref()),
            ("bootloader.own-dtb", loader.own_dtb.as_ref()),
            ("watchdog.title", watchdog.map(|dog| &dog.title)),
        ];
        let optional = optional.into_iter().filter_map(|(key, text)| Some((key, text?)));
        for (key, text) in needed.into_iter().chain(optional) {
            self.text_is_plain(key, text);
        }
        for (key, list) in [("aliases", &form.aliases), ("sources", &form.sources), ("unverified", &form.unverified)] {
            for (index, text) in list.iter().enumerate() {
                self.text_is_plain(&format!("{key}[{index}]"), text);
            }
        }
        for (index, quirk) in form.quirks.iter().enumerate() {
            self.text_is_plain(&format!("quirks[{index}].text"), &quirk.text);
            self.text_is_plain(&format!("quirks[{index}].source"), &quirk.source);
        }
    }

    /// One text.
    pub(super) fn text_is_plain(&mut self, key: &str, text: &str) {
        let fact = match text {
            _ if text.trim().is_empty() => "it is empty".to_owned(),
            _ if text.chars().any(char::is_control) => format!("{text:?} holds control characters"),
            _ => return,
        };
        self.problem(key, fact, "write one line of text without control characters");
    }

    /// A partition's name goes into commands for shells and into the kernel's command line.
    pub(super) fn partition_name_is_plain(&mut self, key: &str, name: &str) {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:+- ".contains(&byte);
        let fact = if name.is_empty() || name.trim() != name {
            format!("{name:?} is empty, or has blanks around it")
        } else if name.len() > LONGEST_NAME {
            format!("it has {} bytes, more than {LONGEST_NAME}", name.len())
        } else if let Some(byte) = name.bytes().find(|byte| !plain(*byte)) {
            format!("{name:?} has a {:?}, which commands would take apart", char::from(byte))
        } else {
            return;
        };
        self.problem(&format!("{key}.name"), fact, "use letters, digits, single blanks and any of _ . : + -");
    }
}
