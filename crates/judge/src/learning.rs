//! Learns from experiments which fields of a reply a release needs: what to ask next, and what the answers amount to.
//!
//! [`cells`] sorts the changes of a reply into parts within which changes do not get in each other's way; [`next()`] says what to
//! ask next, given all answers so far, until everything is told; [`Needs::of`] reads the result field by field.
//!
//! What is promised, of a release that does the same for the same reply, and for which a reply does not get better by changing
//! more of it (within a cell): a change is reported to break the release exactly if it does so by itself. Whatever passes alone is
//! then made all together, cell by cell; when that breaks the release, smallest sets are reported of which it needs one (an
//! application that falls back from one field to another), at least one of them, each of them true.

mod cell;
mod effect;
mod needs;
mod search;

pub use cell::{Cell, Grouping, asks_expected, cells, listing};
pub use effect::{Effect, Unclear, effect};
pub use needs::{FieldNeed, Need, Needs, Reaction};
pub use search::{Answers, Found, Next, Told, Untold, next};

#[cfg(test)]
mod tests;
