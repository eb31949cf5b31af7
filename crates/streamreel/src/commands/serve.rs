//! `serve`: what people look at, over a lake that is there; others may write to it meanwhile.

use crate::cli::{self, Serve};
use crate::failure::Outcome;
use crate::home::Home;
use crate::stop::Stop;
use crate::surfaces::Surfaces;

/// Flags of `serve`, `up` and `demo` that are settings: (flag as typed, key, value).
pub fn flags(args: &cli::Surfaces) -> Vec<(String, String, String)> {
    let format = args.log_format.map(|format| format.name().to_owned());
    let given = [("--http", "serve.http", &args.http), ("--sql", "sql.addr", &args.sql)];
    let given = given.into_iter().chain([("--log-format", "serve.log_format", &format)]);
    given
        .filter_map(|(flag, key, value)| Some((flag, key, value.clone()?)))
        .map(|(flag, key, value)| (format!("{flag} {value}"), key.to_owned(), value))
        .collect()
}

/// Serves until Ctrl-C.
pub fn run(home: &Home, args: &Serve) -> Outcome {
    let stop = Stop::listen()?;
    let log = if args.collect {
        home.keep();
        Some(home.log()?)
    } else {
        home.log_if_there()?
    };
    let surfaces = Surfaces::open(home, log, args.collect)?;
    announce(home, &surfaces)?;
    surfaces.run(&stop);
    Ok(())
}

/// Says where things are: to people on stderr, to programs on stdout.
fn announce(home: &Home, surfaces: &Surfaces) -> Outcome {
    let urls = surfaces.urls();
    home.printer.remark(format!("serving {}; Ctrl-C stops\n{}", home.folder.display(), urls.text().trim_end()));
    if home.printer.json { home.printer.result(urls, |_| String::new()) } else { Ok(()) }
}
