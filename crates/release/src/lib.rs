//! Adapters that run a release and ask it.
