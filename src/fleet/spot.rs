//! The level that a SPOT leads to, read from its NIM object.

use crate::aix::{Unread, nim_object};
use crate::base::{limits, sanitize_line};
use crate::domain::{Level, NimName};
use crate::transport::CommandOutput;

/// Why a SPOT's level is not known.
#[derive(Debug)]
pub enum SpotError {
    /// NIM has no object of that name.
    Undefined,
    /// What `lsnim` said cannot be read.
    Unread { said: String, because: Unread },
    /// The object is of this type.
    NotASpot(String),
    /// The object shows no level.
    NoLevel,
}

/// The level of `spot`, by what `lsnim -l` has said of it.
pub fn level_of_spot(spot: &NimName, output: &CommandOutput) -> Result<Level, SpotError> {
    let text = output.text();
    if text.contains("0042-053") {
        return Err(SpotError::Undefined);
    }
    let object = nim_object(&output.stdout, spot.as_str()).map_err(|because| {
        SpotError::Unread { said: sanitize_line(&text, limits::CAUSE_BYTES_MAX), because }
    })?;
    if object.get("type") != Some("spot") {
        return Err(SpotError::NotASpot(object.get("type").unwrap_or("of no type").to_owned()));
    }
    let part = |key| object.get(key).and_then(|value| value.parse::<u32>().ok());
    let parts = || {
        let (version, release, modification) = (part("version")?, part("release")?, part("mod")?);
        format!("{version}{release}00-{modification:02}").parse().ok()
    };
    let level = object.get("oslevel_r").and_then(|level| level.parse().ok());
    level.or_else(parts).ok_or(SpotError::NoLevel)
}
