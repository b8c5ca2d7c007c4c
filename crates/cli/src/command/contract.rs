//! `contract`: what must hold on the wire; a file for each of its commands.

mod judge;
mod learn;
mod review;

use crate::args::ContractCommand;
use crate::command::Call;
use crate::failure::Failure;

pub(crate) async fn run(call: &Call, what: &ContractCommand) -> Result<u8, Failure> {
    match what {
        ContractCommand::Judge(args) => judge::run(call, args),
        ContractCommand::Learn(args) => learn::run(call, args).await,
        ContractCommand::Review(args) => review::run(call, args).await,
    }
}
