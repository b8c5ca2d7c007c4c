//! Builders, a fake clock and real-SDK releases for tests.
