//! The SQL endpoint: PostgreSQL's wire protocol, read-only, over the tables of the lake.
