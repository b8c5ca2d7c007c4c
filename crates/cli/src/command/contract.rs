//! `contract`: what must hold on the wire; a file for each of its commands.

mod judge;

use crate::args::ContractCommand;
use crate::command::Call;
use crate::failure::Failure;

#[expect(clippy::unused_async, reason = "the commands that ask a release wait for it")]
pub(crate) async fn run(call: &Call, what: &ContractCommand) -> Result<u8, Failure> {
    match what {
        ContractCommand::Judge(args) => judge::run(call, args),
    }
}
