//! The terminal explorer: what otlake's data says, on one screen after another.
//!
//! [`run`] takes a transport of `api` and the terminal, and gives the terminal back at the end. The
//! way of a key: `runtime` reads it, `action` says what it means, `app::update` changes the state
//! and returns effects, `runtime` carries them out, `app::frame` draws. Screens lie in `screens`,
//! what they are drawn with in `widgets`; only `runtime`, `terminal`, `keyboard`
//! and `files` do IO.

use std::io::{self, IsTerminal};
use std::sync::Arc;

use api::ask::Ask;
use jiff::tz::TimeZone;

mod action;
mod app;
pub mod chart_data;
pub mod clipboard;
mod effect;
mod event;
mod export;
mod files;
pub mod flames;
pub mod format;
mod kept;
mod keyboard;
mod link;
mod overlay;
mod pane;
mod plain;
mod request;
mod runtime;
pub mod safe_text;
mod scope;
mod screens;
mod slot;
pub mod span_rows;
mod terminal;
#[cfg(test)]
mod testing;
pub mod theme;
pub mod widgets;
mod window;

use app::{App, Appearance};
use event::Now;
use scope::Scope;
use theme::{Depth, Glyphs, ThemeName};

/// How the explorer starts.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// A link, trace id or `traceparent` to open at the start.
    pub open: Option<String>,
    /// The filter line to begin with.
    pub filter: Option<String>,
    /// The range of time to begin with, such as `1h` or `14:00..14:30`.
    pub range: Option<String>,
    /// Name of the zone in which times are shown and read; absent: that of the machine.
    pub zone: Option<String>,
    /// Colours; absent: what the terminal can show of its own sixteen.
    pub theme: Option<ThemeName>,
    /// Nothing but ASCII, whatever the locale says.
    pub ascii: bool,
    /// The mouse is left to the terminal.
    pub no_mouse: bool,
}

/// Why the explorer did not start or had to end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is nothing to draw on.
    #[error("standard output is no terminal; --plain prints without one")]
    NoTerminal,
    /// An option means nothing.
    #[error("{0}")]
    Option(String),
    /// The terminal failed.
    #[error("the terminal: {0}")]
    Terminal(#[from] io::Error),
}

/// Shows the explorer on the terminal until it is left. Must run on a tokio runtime, which carries
/// the requests; the calling thread draws.
pub async fn run(ask: Arc<dyn Ask>, options: Options) -> Result<(), Error> {
    if !io::stdout().is_terminal() {
        return Err(Error::NoTerminal);
    }
    let mut app = first(&options, Now { mono_ms: 0, unix_ns: api::time::now_ns() })?;
    match files::kept() {
        Ok(kept) => app.keep(kept),
        Err(error) => app.say(error),
    }
    Ok(show(ask, app).await?)
}

/// Takes the terminal for an explorer, and gives it back.
async fn show(ask: Arc<dyn Ask>, app: App) -> io::Result<()> {
    if app.look.depth == Depth::None {
        // Without this crossterm would reset all attributes at each change of colour.
        crossterm::style::force_color_output(true);
    }
    let guard = terminal::Guard::take(app.look.mouse)?;
    runtime::run(ask, app, guard).await
}

/// Talks in lines instead of drawing: each line of the input is a row's number, `/` and a filter, `t` and a
/// range, a key, or an action in words.
pub async fn plain(
    ask: Arc<dyn Ask>,
    options: Options,
    input: impl tokio::io::AsyncBufRead + Unpin,
    output: impl io::Write,
) -> Result<(), Error> {
    let app = first(&options, Now { mono_ms: 0, unix_ns: api::time::now_ns() })?;
    Ok(plain::talk(ask, app, input, output).await?)
}

/// The explorer as it opens.
fn first(options: &Options, now: Now) -> Result<App, Error> {
    let look = appearance(options).in_zone(zone(options)?);
    let mut scope = Scope::default();
    if let Some(filter) = &options.filter {
        scope.filter = filter.clone();
    }
    if let Some(range) = &options.range {
        scope.range = overlay::time::read(range, now, &look.zone).map_err(Error::Option)?;
    }
    let target = match &options.open {
        Some(text) => {
            let target = link::read(text);
            Some(target.ok_or_else(|| Error::Option(format!("`{text}` is no link of otlake")))?)
        }
        None => None,
    };
    if let Some(target) = &target {
        target.apply(&mut scope, now);
    }
    let place = target.as_ref().map_or(action::Place::Services, link::Target::place);
    let screen = screens::root(place);
    let chooses = scope.range != Scope::default().range || options.range.is_some();
    let mut app = App::new(look, screen, place, scope, now);
    if !chooses && target.is_none() {
        app.fit_range();
    }
    if let Some(target) = target.filter(|target| target.of.is_some()) {
        app.open_link(&target);
    }
    Ok(app)
}

fn zone(options: &Options) -> Result<TimeZone, Error> {
    let zone = match &options.zone {
        None => TimeZone::system(),
        Some(name) => {
            TimeZone::get(name).map_err(|_| Error::Option(format!("`{name}` is no time zone")))?
        }
    };
    // A machine may have UTC as a file like any other zone.
    let is_utc = matches!(zone.iana_name(), None | Some("UTC" | "Etc/UTC" | "Etc/Unknown"));
    Ok(if is_utc { TimeZone::UTC } else { zone })
}

fn appearance(options: &Options) -> Appearance {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| variable(name));
    let glyphs = if options.ascii { Glyphs::ASCII } else { Glyphs::for_locale(locale.as_deref()) };
    let depth = match termprofile::TermProfile::detect(
        &io::stdout(),
        termprofile::DetectorSettings::default(),
    ) {
        _ if variable("NO_COLOR").is_some() => Depth::None,
        profile => Depth::from(profile),
    };
    let mut look = Appearance::new(options.theme.unwrap_or_default(), depth, glyphs);
    look.mouse = !options.no_mouse;
    look
}
