//! Real-SDK releases for tests, and what end-to-end tests need round them.
//!
//! The releases themselves are programs under `releases/`, on the official Python and Node SDKs, old and current major; each
//! is healthy, or has the one defect that `DEFECT` names. `releases/catalogue.json` lists them, and `releases/install.sh` makes
//! their environments under `.test-env` at the workspace root.
//!
//! An end-to-end test reads:
//!
//! ```no_run
//! use std::{path::Path, time::Duration};
//! use testkit::{Form, Pair, SdkRelease, Stack};
//!
//! let new = SdkRelease::new(Stack::PythonOpenai3, Form::Command).defect("swallows-error");
//! let rollback = SdkRelease::new(Stack::PythonOpenai1, Form::Command);
//! let project = Pair::new(new, rollback).write().expect("the environments are installed");
//! let finished = project.run(Path::new("surestep"), &["drill", "--yes", "--format", "json"], Duration::from_secs(300));
//! assert_eq!(finished.exit_code, Some(10), "{finished}");
//! assert!(project.orphans().is_empty());
//! assert!(project.leaks(&finished, &[]).is_empty());
//! ```
//!
//! testkit depends on no crate of ours: what it starts and reads is what an outsider would start and read.

mod catalogue;
mod clock;
pub mod detection;
mod gateway;
mod leak;
mod network;
mod orphan;
mod pair;
mod place;
mod project;
mod sdk_release;

pub use catalogue::{Expected, Variant, catalogue};
pub use gateway::{Gateway, GatewayPart};
pub use leak::{Leak, Needle, scan_bytes, scan_folder};
pub use network::free_port;
pub use orphan::{MARKER_VARIABLE, Orphan, orphans};
pub use pair::{Pair, ProviderAt};
pub use place::{environment, releases_folder, workspace_root};
pub use project::{Finished, Project};
pub use sdk_release::{Form, SdkRelease, Stack};
