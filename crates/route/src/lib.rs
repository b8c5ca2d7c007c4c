//! Adapters that move traffic: the embedded router.
