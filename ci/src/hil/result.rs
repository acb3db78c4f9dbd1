//! What came of a place.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::suite::Outcome;

/// What came of a place; `result.json` in the job's folder.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct PlaceResult {
    /// The place; empty when there was none.
    pub place: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Why the place could not be had, or was lost.
    pub no_place: Option<String>,
    /// The tests that ran.
    pub outcomes: Vec<Outcome>,
}

impl PlaceResult {
    /// That of a place that could not be had, or of none at all.
    pub fn without(place: &str, reason: String) -> PlaceResult {
        PlaceResult { place: place.to_owned(), tags: BTreeMap::new(), no_place: Some(reason), outcomes: Vec::new() }
    }
}
