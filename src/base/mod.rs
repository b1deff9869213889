//! Layer 0: clock, ids, limits, text. Knows nothing of AIX, migrations or I/O.

mod clock;
pub mod limits;
mod series;
mod text;

pub use clock::{Clock, ClockRef, Millis, Moment, ScaledClock, SystemClock, TokioClock};
pub use series::doubling;
pub use text::{duration_text, nearest, redact, sanitize, sanitize_end, sanitize_line, time_text};
