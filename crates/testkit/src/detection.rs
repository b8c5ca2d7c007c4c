//! The detection benchmark: drills pairs of releases that a manifest lists, at most one of each pair with one defect, and writes down what
//! was held, what was promoted, and why. The manifest and what it lists lie in `bench/detection/`.

mod drill;
mod llmock;
mod load;
mod manifest;
mod state;
mod table;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

pub use drill::versions;
pub use llmock::{Judged, judge_by_llmock, llmock_version, table_beside};
pub use load::Load;
pub use manifest::{Change, Manifest, Row, Side};
pub use state::{Done, State};
pub use table::table;

/// Drills these rows, as many at once as there are jobs, and keeps what came of each; `tell` hears of it.
///
/// # Errors
///
/// When a result could not be kept.
pub fn drill_rows(
    surestep: &Path,
    manifest: &Manifest,
    rows: impl IntoIterator<Item = Row>,
    state: &State,
    jobs: usize,
    tell: impl Fn(&Row, &Done) + Sync,
) -> Result<(), String> {
    let waiting: Mutex<VecDeque<Row>> = Mutex::new(rows.into_iter().collect());
    let work = || {
        loop {
            let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(row) = next else { return Ok(()) };
            let done = drill::drill(surestep, manifest, &row);
            tell(&row, &done);
            state.add(&row, done)?;
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| {
            worker.join().map_err(|_panic| "a drill panicked".to_owned()).flatten()
        })
    })
}
