//! Why there is no explanation.

crate::explained! {
    /// Why nothing is explained.
    pub enum Error {
        /// `near` is the code that is spelled most like it.
        #[error("there is no code in {typed:?}")]
        NoSuchCode { typed: String, near: Option<String> } => NoSuchCode USAGE, (match near {
            Some(near) => format!("did you mean {near}? `stoop explain` lists all codes"),
            None => "`stoop explain` lists all codes".to_owned(),
        });
    }
}
