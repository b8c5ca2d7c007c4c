//! The data plane: relays, observes and breaks the wire between a release and its provider.
