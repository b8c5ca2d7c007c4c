//! `init`, `doctor` and `schema`.

use crate::args::{Format, InitArgs, SchemaArgs, SchemaOf};
use crate::command::{Call, pretty};
use crate::failure::{Failure, chain};
use crate::learnt::learn_schema;
use crate::result::result_schema;
use crate::terminal::{answer, may_colour, say};
use crate::{config, doctor as checkup, exit_code, init as template, schema as schemas, wiring};

/// Writes a template.
pub(crate) fn init(call: &Call, args: &InitArgs) -> Result<u8, Failure> {
    let written = template::init(&call.arguments.config, args.force)
        .map_err(|error| Failure::usage(chain(&error), error.help()))?;
    say(&written.next_steps());
    Ok(exit_code::PASS)
}

/// Looks at everything that a run will need.
pub(crate) async fn doctor(call: &Call) -> Result<u8, Failure> {
    let mut unreadable = false;
    let found = match config::load_with_warnings(&call.arguments.config, &call.environment) {
        Ok(loaded) => {
            checkup::doctor(&loaded.settings, &loaded.warnings, &call.environment, wiring::now())
                .await
        }
        Err(errors) => {
            unreadable = true;
            checkup::of_errors(&errors)
        }
    };
    match call.arguments.format {
        Format::Human | Format::Github => {
            answer(&checkup::render(&found, may_colour(&call.environment)));
        }
        Format::Json => answer(&pretty(&checkup::to_json(&found))),
    }
    Ok(match checkup::worst(&found) {
        checkup::State::Fine | checkup::State::Odd => exit_code::PASS,
        checkup::State::Broken if unreadable => exit_code::USAGE,
        checkup::State::Broken => exit_code::HOLD_MISSING,
    })
}

/// Prints a schema.
pub(crate) fn schema(args: &SchemaArgs) -> Result<u8, Failure> {
    let schema = match args.of {
        SchemaOf::Config => schemas::config_schema(),
        SchemaOf::Result => result_schema(),
        SchemaOf::Learn => learn_schema(),
    };
    answer(&pretty(&schema));
    Ok(exit_code::PASS)
}
