//! fault-injector
