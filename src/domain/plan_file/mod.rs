//! The plan file: TOML in, a checked [`Plan`] or all of its errors out.
//!
//! `file` holds the keys, as types that the JSON Schema (`schema`) is made of.
//! A file is parsed (`source`), held against the schema (`shape`), and what fits
//! is read for its meaning (`build`), so that errors of both kinds are found at
//! once. Nothing here reads a file, a clock or the environment.

mod build;
mod default;
mod error;
mod file;
mod merge;
mod reach;
mod reader;
mod rules;
mod schema;
mod shape;
mod source;
mod words;

use super::plan::Plan;
use crate::base::limits;
use error::Collector;

pub use error::{PlanError, PlanErrors};
pub use schema::plan_schema;
pub(super) use words::{MountOptions, OutputPath, Word};

/// Reads a plan. `file_name` is for messages only. Licences count as accepted
/// where `licences_by_environment` says that `ADM_ACCEPT_LICENSES=yes` is set.
pub fn parse_plan(
    file_name: &str,
    text: &str,
    licences_by_environment: bool,
) -> Result<Plan, PlanErrors> {
    let mut errors = Collector::default();
    let plan = match text.len() as u64 {
        0..=limits::PLAN_BYTES_MAX => read(text, licences_by_environment, &mut errors),
        bytes => {
            let message =
                format!("the plan has {bytes} bytes, more than {}", limits::PLAN_BYTES_MAX);
            errors.push(0, message, "put its clients in several plans");
            None
        }
    };
    match plan {
        Some(plan) if errors.is_empty() => Ok(plan),
        _ => {
            assert!(!errors.is_empty(), "a plan that cannot be read has an error");
            Err(errors.finish(file_name, text))
        }
    }
}

/// As [`parse_plan`], from the bytes of a file.
pub fn parse_plan_bytes(
    file_name: &str,
    bytes: &[u8],
    licences_by_environment: bool,
) -> Result<Plan, PlanErrors> {
    // A huge file is refused for its size: nothing of it is looked at.
    let too_many = bytes.len() as u64 > limits::PLAN_BYTES_MAX;
    let broken = match std::str::from_utf8(bytes) {
        Ok(text) => return parse_plan(file_name, text, licences_by_environment),
        Err(_) if too_many => 0,
        Err(error) => error.valid_up_to(),
    };
    let mut errors = Collector::default();
    errors.push(broken, "the plan is not UTF-8".to_owned(), "save it as UTF-8 text");
    let valid = std::str::from_utf8(&bytes[..broken]).unwrap_or_default();
    Err(errors.finish(file_name, valid))
}

fn read(text: &str, licences_by_environment: bool, errors: &mut Collector) -> Option<Plan> {
    let document = source::parse(text, errors)?;
    let mut json = shape::check(schema::schema(), &document, errors);
    merge::spread(&mut json);
    let file = serde_json::from_value(json).expect("what fits the schema fits the types");
    reader::Reader::new(text, &document, licences_by_environment, errors).plan(&file)
}
