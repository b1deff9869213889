//! What is wrong with a command line.

use std::fmt;

use super::form::Form;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineError {
    /// Which word of the line, from 1; absent where one is missing.
    pub word: Option<usize>,
    /// What is wrong.
    pub what: String,
    pub help: String,
}

/// All that is wrong with a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineErrors {
    /// In the order of the line; what is missing comes last.
    pub errors: Vec<LineError>,
    /// The form that was meant, where that can be told.
    pub form: Option<Form>,
}

impl fmt::Display for LineErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, LineError { word, what, help }) in self.errors.iter().enumerate() {
            let end = if index == 0 { "" } else { "\n" };
            let place = word.map_or(String::new(), |word| format!("word {word}: "));
            write!(f, "{end}  {place}{what}\n    help: {help}")?;
        }
        Ok(())
    }
}

impl std::error::Error for LineErrors {}
