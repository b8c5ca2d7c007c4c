//! The release to return to: 2.3.1.

use std::process::ExitCode;

use support_bot::Release;

fn main() -> ExitCode {
    support_bot::run(Release { version: "2.3.1", temperature: 0.3, logs_duration: false })
}
