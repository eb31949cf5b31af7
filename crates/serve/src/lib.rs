//! What people look at: the page, the JSON API, live numbers, the collector of events.
