//! A second, deliberately naive implementation.
