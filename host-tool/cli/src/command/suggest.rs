//! Values that a shell can complete although others are taken as well.

use std::ffi::OsStr;
use std::sync::LazyLock;

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};

use stoop_image::board;
use stoop_kernel::modules::requirement::shipped;

/// Takes any text, and suggests some.
#[derive(Clone)]
pub(super) struct Suggest(fn() -> Vec<&'static str>);

impl Suggest {
    pub(super) fn names(&self) -> Vec<&'static str> {
        (self.0)()
    }
}

impl TypedValueParser for Suggest {
    type Value = String;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<String, clap::Error> {
        StringValueParser::new().parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.names().into_iter().map(PossibleValue::new)))
    }
}

/// The boards that come with stoop.
pub(super) fn boards() -> Suggest {
    Suggest(|| board::names().collect())
}

/// The requirements that come with stoop.
pub(super) fn requirements() -> Suggest {
    Suggest(|| shipped().collect())
}

/// The same as they are named among modules.
pub(super) fn requirements_among_modules() -> Suggest {
    static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| shipped().map(|name| format!("@{name}")).collect());
    Suggest(|| NAMES.iter().map(String::as_str).collect())
}

/// The slots of the boards that have several.
pub(super) fn slots() -> impl TypedValueParser<Value = char> {
    Suggest(|| vec!["a", "b"]).try_map(|text| text.parse::<char>())
}
