//! What every failure can say besides its fact: a stable code, what to do next, the exit code.
//!
//! Every room has an enum of its own, declared by [`explained!`](crate::explained!), so that what a failure says stands in one place.

/// What every failure can say besides the fact, which is its [`std::fmt::Display`]: one sentence without a full stop.
pub trait Explained: std::error::Error {
    /// The stable code, for `stoop explain` and for scripts: a letter and three digits, such as `H061`.
    fn code(&self) -> &'static str;

    /// What to do about it: an imperative sentence without a full stop.
    fn next_step(&self) -> Option<String>;

    /// The process's exit code, one of this module's constants.
    fn exit_code(&self) -> u8;
}

/// Exit code: the work could not be done.
pub const FAILED: u8 = 1;
/// Exit code: the command line or a file that the user wrote asks for something impossible.
pub const USAGE: u8 = 2;
/// Exit code: a device did not answer, or not as a board does.
pub const NO_ANSWER: u8 = 3;
/// Exit code: the way to the board is broken, not the board: a busy or missing port, a power switch that does not switch, another
/// board. Trying again later or elsewhere may help (`EX_TEMPFAIL` of sysexits.h).
pub const NO_PLACE: u8 = 75;
/// Exit code: the user ended it, as of a shell's command that Ctrl-C ends.
pub const INTERRUPTED: u8 = 130;

/// Declares the enum of a room's failures. Each variant has its fact as `#[error]` of thiserror, which is its documentation too, and
/// behind `=>` its [`ErrorCode`](crate::ErrorCode), the exit code when it is not [`FAILED`], and the next step: a format string that
/// may name the variant's fields, an expression in parentheses, or in brackets one that may be `None`.
///
/// ```
/// stoop_image::explained! {
///     /// Why the file is not as it should be.
///     #[derive(Clone)]
///     pub enum Error {
///         #[error("{name} ends at 0x{at:x}")]
///         Cut { name: String, at: usize } => ImageDamaged, "give all of {name}";
///         #[error("this is no image")]
///         Foreign => NotAnImage USAGE;
///     }
/// }
///
/// use stoop_image::Explained;
/// let error = Error::Cut { name: "a".into(), at: 16 };
/// assert_eq!((error.code(), error.exit_code()), ("H071", 1));
/// assert_eq!((error.to_string(), error.next_step()), ("a ends at 0x10".into(), Some("give all of a".into())));
/// assert_eq!((Error::Foreign.exit_code(), Error::Foreign.next_step()), (2, None));
/// ```
#[macro_export]
macro_rules! explained {
    (
        $(#[$about:meta])*
        pub enum $name:ident {
            $(
                $(#[doc = $doc:literal])*
                #[error($fact:literal $($args:tt)*)]
                $variant:ident $({ $($field:ident: $type:ty),* $(,)? })? => $code:ident $($exit:ident)? $(, $next:tt)?;
            )*
        }
    ) => {
        $(#[$about])*
        #[non_exhaustive]
        #[derive(::thiserror::Error, Debug)]
        #[allow(missing_docs, reason = "the sentence of a variant says what its fields are")]
        pub enum $name {
            $(
                $(#[doc = $doc])*
                #[doc = concat!("`` ", $fact, " ``")]
                #[error($fact $($args)*)]
                $variant $({ $($field: $type),* })?,
            )*
        }

        #[allow(unused_variables, reason = "not every next step names every field")]
        impl $crate::Explained for $name {
            fn code(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => $crate::ErrorCode::$code.name(),)*
                }
            }

            fn next_step(&self) -> Option<String> {
                match self {
                    $(Self::$variant $({ $($field),* })? => $crate::explained!(@next $($next)?),)*
                }
            }

            fn exit_code(&self) -> u8 {
                match self {
                    $(Self::$variant { .. } => $crate::explained!(@exit $($exit)?),)*
                }
            }
        }
    };
    (@next) => { None };
    (@next $text:literal) => { Some(::std::fmt::format(format_args!($text))) };
    (@next [$step:expr]) => { $step };
    (@next $text:expr) => { Some(String::from($text)) };
    (@exit) => { $crate::explained::FAILED };
    (@exit $exit:ident) => { $crate::explained::$exit };
}

/// Declares the enum of a crate's failures: any of its rooms' enums, each with a `From`, and `Within`, one of them with where it happened
/// in front. All that a variant says is what the room's error says.
///
/// ```
/// stoop_image::any_error! {
///     /// Why it did not work.
///     pub enum Error {
///         /// The image.
///         Image(stoop_image::Error),
///     }
/// }
///
/// use stoop_image::Explained;
/// let image = stoop_image::image::open(b"").unwrap_err();
/// let error = Error::from(image).within("image.bin");
/// assert_eq!((error.to_string(), error.code()), ("image.bin: the file is empty".into(), "H070"));
/// assert!(matches!(error.root(), Error::Image(stoop_image::Error::Image(stoop_image::image::Error::Empty))));
/// ```
#[macro_export]
macro_rules! any_error {
    (
        $(#[$about:meta])*
        pub enum $name:ident {
            $($(#[$doc:meta])* $variant:ident($inner:ty),)*
        }
    ) => {
        $(#[$about])*
        #[non_exhaustive]
        #[derive(::thiserror::Error, Debug)]
        pub enum $name {
            $(
                $(#[$doc])*
                #[error(transparent)]
                $variant(#[from] $inner),
            )*
            /// Another, with where it happened: a file, or the part of one.
            #[error("{context}: {source}")]
            Within {
                /// Where, for people.
                context: String,
                /// What happened there.
                source: Box<$name>,
            },
        }

        impl $name {
            /// Puts where it happened in front of what it says, as `context: fact`.
            #[must_use]
            pub fn within(self, context: impl ::std::fmt::Display) -> Self {
                Self::Within { context: context.to_string(), source: Box::new(self) }
            }

            /// What happened, without where.
            pub fn root(&self) -> &Self {
                match self {
                    Self::Within { source, .. } => source.root(),
                    other => other,
                }
            }

            fn explained(&self) -> &dyn $crate::Explained {
                match self {
                    $(Self::$variant(error) => error,)*
                    Self::Within { source, .. } => source.explained(),
                }
            }
        }

        impl $crate::Explained for $name {
            fn code(&self) -> &'static str {
                self.explained().code()
            }

            fn next_step(&self) -> Option<String> {
                self.explained().next_step()
            }

            fn exit_code(&self) -> u8 {
                self.explained().exit_code()
            }
        }
    };
}
