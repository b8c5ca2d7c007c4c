//! End-to-end tests of the binary: real processes, a real route, what is on the disk afterwards.

mod answers;
mod kill;
mod learn;
mod machine;
mod releases;
mod reviews;
mod secrets;
mod self_test;
mod support;
mod tap;
mod tap_http2;
mod third_party;
