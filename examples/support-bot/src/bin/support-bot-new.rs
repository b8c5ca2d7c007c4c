//! The release about to get traffic: 2.4.0 answers a little more soberly and logs how long each call took.

use std::process::ExitCode;

use support_bot::Release;

fn main() -> ExitCode {
    support_bot::run(Release { version: "2.4.0", temperature: 0.2, logs_duration: true })
}
