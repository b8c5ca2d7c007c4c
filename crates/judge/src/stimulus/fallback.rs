//! The primary model fails while every other one is well: does the release go elsewhere?

use contract::reply::ErrorKind;

use super::{Act, RequestContext, simulate};

/// The failing primary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Primary {
    /// The models that a normal ask names. Any other one answers as documented.
    pub models: Vec<String>,
    /// How they fail.
    pub fault: PrimaryFault,
}

/// How the primary model fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrimaryFault {
    /// 503.
    Overloaded,
    /// No byte of a reply ever comes.
    Silent,
}

impl Primary {
    pub(super) fn act(&self, request: &RequestContext) -> Act {
        if !self.models.contains(&request.model) {
            return simulate::documented(request);
        }
        match self.fault {
            PrimaryFault::Overloaded => simulate::error(ErrorKind::Overloaded, request),
            PrimaryFault::Silent => Act::Hold,
        }
    }
}
