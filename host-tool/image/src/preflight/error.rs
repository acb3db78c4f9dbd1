//! What a kernel lacks.

crate::explained! {
    /// What a kernel lacks for what was asked of it.
    pub enum Error {
        /// `symbol` is of its configuration, with the wanted value unless that is `y`; `fix` is what to do about it.
        #[error("{} {about}: {symbol}: {says}", match known {
            true => "the kernel does not take",
            false => "nothing tells whether the kernel takes",
        })]
        Unsuited { known: bool, about: String, symbol: String, says: String, fix: Option<String> }
            => KernelUnsuited, (fix.as_deref().unwrap_or("see `stoop check --kernel FILE`"));
    }
}
