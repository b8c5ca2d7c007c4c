//! The self-test: breaks each thing on purpose, and shows that its gate turns red.
//!
//! Each case is a project of its own in a temporary folder: two built-in releases (one of them broken, or the provider, the switch
//! or the evidence), a configuration, a ledger. It is run by the same code as any other project: configuration, tap, simulated
//! provider, processes, judge, ledger, gates. What was expected is then looked for in the ledger, and nowhere else.

mod case;
mod evidence;
mod made;
mod outcome;
mod provider;
mod standing;
mod switch;
mod table;
mod world;

pub(crate) use self::made::make;
pub(crate) use self::outcome::Report;
pub(crate) use self::standing::{keep, standing};
pub(crate) use self::table::cases;
