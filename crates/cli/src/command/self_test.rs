//! `self-test`: breaks each thing on purpose, and shows that its gate turns red.

use evidence::Scanner;
use futures_util::stream::{self, StreamExt as _};

use crate::args::{Format, SelfTestArgs};
use crate::command::{Call, pretty};
use crate::failure::{Failure, chain};
use crate::self_test::{Report, cases, keep, make};
use crate::terminal::{Paint, may_colour, say};
use crate::wiring::now;

/// Cases under way at once: most of the time each waits, for a retry or a deadline.
const AT_ONCE: usize = 16;

/// Runs it.
pub(crate) async fn run(call: &Call, args: &SelfTestArgs) -> Result<u8, Failure> {
    let is_wanted = |code: &str| args.only.as_ref().is_none_or(|only| only == code);
    let wanted: Vec<_> = cases().filter(|case| is_wanted(case.expect)).collect();
    if wanted.is_empty() {
        return Err(Failure::usage(
            format!("no case gives the code {}", args.only.as_deref().unwrap_or_default()),
            "`surestep self-test` without `--only` shows every code.",
        ));
    }
    let is_spared = |code: &str| args.spare.as_ref().is_some_and(|spare| spare == code);
    let made = wanted.into_iter().enumerate().map(|(place, case)| {
        let making = make(case, is_spared(case.expect), &call.environment);
        Box::pin(async move { (place, making.await) })
    });
    // A slow case holds up no other: they are put in order when all are made.
    let mut made: Vec<_> = stream::iter(made).buffer_unordered(AT_ONCE).collect().await;
    made.sort_by_key(|(place, _)| *place);
    let made = made.into_iter().map(|(_, made)| made).collect();
    let report = Report { made, is_whole: args.only.is_none() };
    let text = match call.arguments.format {
        Format::Human | Format::Github => report.human(Paint::when(may_colour(&call.environment))),
        Format::Json => pretty(&report.to_json()),
    };
    call.answer(&text, &Scanner::new([]));
    if let Err(error) = keep(&report, &call.environment, now()) {
        // The exit code tells all the same; only later runs will not know.
        say(&format!("later runs will not know of this: {}", chain(&error)));
    }
    Ok(report.exit_code())
}
