//! The explorer in a real terminal, driven by tmux with the keys of a person: from a slow service to
//! the reason in four keys and back without a query, in three sizes, without colours, and the other
//! ways of the documents. Without tmux it says so and does nothing.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use api::client::Client;
use api::sql::SqlRequest;
use tempfile::TempDir;

use crate::support::{Server, block_on, otlake, stdout_of};

/// A debug build on a busy machine answers within this.
const DEADLINE: Duration = Duration::from_secs(120);

/// The explorer in a terminal of its own tmux server; dropping ends both.
struct Terminal {
    socket: PathBuf,
    _dir: TempDir,
}

impl Terminal {
    fn start((width, height): (u16, u16), url: &str, environment: &[(&str, &str)]) -> Terminal {
        let dir = TempDir::new().unwrap();
        let terminal = Terminal { socket: dir.path().join("socket"), _dir: dir };
        let (width, height) = (width.to_string(), height.to_string());
        let program = otlake().get_program().to_str().unwrap().to_owned();
        let mut words: Vec<String> =
            ["new-session", "-d", "-x", &width, "-y", &height].map(str::to_owned).into();
        for (name, value) in environment {
            words.extend(["-e".to_owned(), format!("{name}={value}")]);
        }
        words.extend([program, "tui".to_owned(), "--url".to_owned(), url.to_owned()]);
        // Without the line that tmux itself would take from the height.
        words.extend([";", "set", "-g", "status", "off"].map(str::to_owned));
        terminal.tmux(&words.iter().map(String::as_str).collect::<Vec<_>>());
        terminal.tmux(&["resize-window", "-x", &width, "-y", &height]);
        terminal
    }

    fn tmux(&self, words: &[&str]) -> String {
        let output = self.run(words);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "tmux {words:?}: {stderr}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn run(&self, words: &[&str]) -> Output {
        let mut command = Command::new("tmux");
        command.arg("-S").arg(&self.socket).args(["-f", "/dev/null"]).args(words);
        // A tmux around the test must not be found, nor what the developer has configured.
        command.env_remove("TMUX").env("XDG_CONFIG_HOME", "/nonexistent");
        command.env("XDG_STATE_HOME", "/nonexistent").env("LC_ALL", "C.UTF-8");
        command.output().expect("tmux runs")
    }

    fn press(&self, keys: &[&str]) {
        for key in keys {
            self.tmux(&["send-keys", key]);
        }
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// Waits until something holds of the screen.
    fn until(&self, what: &str, holds: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let screen = self.screen();
            if holds(&screen) {
                return screen;
            }
            assert!(Instant::now() < deadline, "{what} is not shown:\n{screen}");
        }
    }

    /// Waits for words.
    fn until_shown(&self, words: &str) -> String {
        self.until(words, |screen| screen.contains(words))
    }

    /// Waits until the breadcrumb ends with these words.
    fn until_at(&self, crumb: &str) -> String {
        self.until(crumb, |screen| crumbs(screen).ends_with(crumb))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Already gone where the explorer has ended.
        let _ = self.run(&["kill-server"]);
    }
}

fn has_tmux() -> bool {
    Command::new("tmux").arg("-V").output().is_ok_and(|output| output.status.success())
}

/// The breadcrumb of a screen.
fn crumbs(screen: &str) -> &str {
    let first = screen.lines().next().unwrap_or("").trim();
    first.split("  ").next().unwrap_or("")
}

/// The line under the cursor of a list.
fn under_cursor(screen: &str) -> &str {
    // Bars are drawn with the same sign, but never at the edge of a pane.
    let is_under = |line: &&str| line.starts_with('▌') || line.contains("│▌");
    screen.lines().find(is_under).unwrap_or("")
}

/// The lines of the pane with this title, without its frame.
fn pane<'a>(screen: &'a str, title: &str) -> Vec<&'a str> {
    let lines = screen.lines().skip_while(|line| !line.contains(title)).skip(1);
    lines.take_while(|line| !line.starts_with('└')).collect()
}

/// A server with six minutes of a shop, up to now; for two of them its order service has too few
/// connections to its database.
struct Shop {
    server: Server,
    _dir: TempDir,
}

impl Shop {
    fn with_small_pool() -> Shop {
        let dir = TempDir::new().unwrap();
        let server = Server::start(dir.path(), &["--query-timeout", "5m"]);
        let endpoint = server.address("otlp_grpc");
        let fault = ["--preset", "shop", "--scenario", "small_pool", "--minutes", "6"];
        let load = ["--rate", "4", "--seed", "1", "--endpoint", &endpoint];
        stdout_of(&[&["demo", "sim"][..], &fault, &load].concat());
        Shop { server, _dir: dir }
    }

    /// Statements run so far, this question included.
    fn statements(&self) -> u64 {
        let request = SqlRequest { sql: "SELECT 1".into(), ..SqlRequest::default() };
        let answer = block_on(async { Client::new(&self.server.url())?.sql(&request).await });
        let id = answer.unwrap().stats.query_id;
        id.trim_start_matches('q').parse().unwrap()
    }

    fn explore(&self, size: (u16, u16), environment: &[(&str, &str)]) -> Terminal {
        Terminal::start(size, &self.server.url(), environment)
    }
}

const GUILTY: &str = "db.pool.acquire";
/// As much of it as a list shows in 80 columns.
const GUILTY_CUT: &str = "db.pool.a";
const METRIC: &str = "db.client.connection.pending_requests";
const METRIC_CUT: &str = "db.client.connection.pe";

/// The cursor stands on the guilty span of a trace. A frame can be seen while it is being drawn.
fn is_trace(screen: &str) -> bool {
    crumbs(screen).contains("trace")
        && screen.contains("Waterfall")
        && !screen.contains("Where the time goes")
        && under_cursor(screen).contains(GUILTY_CUT)
        && screen.contains(GUILTY)
}

/// The four keys, and what must be on the screen after each.
fn drill_down(shop: &Shop, size: (u16, u16), environment: &[(&str, &str)]) {
    let terminal = shop.explore(size, environment);
    let start = terminal.until("a service that has become slow", |screen| {
        under_cursor(screen).contains("p99 x") && screen.contains("n=")
    });
    // Behind the frame, the cursor and the mark.
    let is_name =
        |word: &&str| word.starts_with(|c: char| c.is_ascii_alphanumeric()) && *word != "x";
    let service = under_cursor(&start).split_whitespace().find(is_name).unwrap().to_owned();

    terminal.press(&["Enter"]);
    let breakdown = terminal.until("what the time goes to, and what is different", |screen| {
        let parts = pane(screen, "Where the time goes");
        let different = pane(screen, "What is different");
        parts.first().is_some_and(|part| part.contains(GUILTY))
            && different.len() > 2
            && !different.iter().any(|line| line.contains("loading"))
    });
    assert_eq!(crumbs(&breakdown), format!("services > {service}"));

    terminal.press(&["x"]);
    terminal.until("the guilty span", |screen| {
        is_trace(screen) && screen.contains(" spans") && screen.contains("order-service")
    });

    terminal.press(&["L"]);
    terminal.until("logs of the trace", |screen| {
        crumbs(screen).ends_with("logs") && screen.contains("answered in")
    });

    terminal.press(&["M"]);
    terminal.until("the metric of the fault among the first three", |screen| {
        let rows = pane(screen, "Metrics by change");
        rows.iter().skip(1).take(3).any(|row| row.contains(METRIC_CUT)) && screen.contains(METRIC)
    });

    terminal.press(&["Escape"]);
    terminal.until_at("logs");
    terminal.press(&["Escape"]);
    terminal.until("the trace", is_trace);
    terminal.press(&["Escape"]);
    terminal.until_at(&format!("services > {service}"));
    // What was given up on the way there has been asked again by now.
    let before = shop.statements();
    terminal.press(&["Escape"]);
    let end = terminal.until("the services", |screen| crumbs(screen) == "services");
    assert!(under_cursor(&end).contains(&service), "{end}");
    assert_eq!(shop.statements(), before + 1, "going back asks nothing");

    terminal.press(&["q"]);
    let deadline = Instant::now() + DEADLINE;
    while terminal.run(&["has-session"]).status.success() {
        assert!(Instant::now() < deadline, "q does not end it:\n{}", terminal.screen());
    }
}

/// The other ways to a trace: each key, and what must stand under the cursor or on the screen before
/// the next one.
const WAYS: [&[(&str, &str)]; 4] = [
    &[("1", "services"), ("2", "edges"), ("x", "Waterfall")],
    &[("1", "services"), ("X", "begins here"), ("x", "Waterfall")],
    &[("4", "answered in"), ("o", " patterns, "), ("x", "Waterfall")],
    &[
        ("5", "db.client"),
        ("G", "http.server.request.duration"),
        ("Enter", "◆"),
        ("x", "Waterfall"),
    ],
];

fn other_ways(shop: &Shop) {
    let terminal = shop.explore((120, 40), &[]);
    terminal.until_shown("n=");
    for way in WAYS {
        for (key, shown) in way {
            terminal.press(&[key]);
            terminal.until(&format!("`{shown}` after {key}"), |screen| {
                screen.contains(shown) && !screen.contains(" 0 edges")
            });
        }
        terminal.press(&["Escape"]);
        // A key right behind it would be read together with it, as that key with Alt.
        terminal.until("the view before", |screen| !crumbs(screen).contains("trace "));
    }
}

#[test]
fn four_keys_lead_to_the_reason_and_back() {
    if !has_tmux() {
        println!("skipped: no tmux on this machine (scripts/install-tmux)");
        return;
    }
    let shop = Shop::with_small_pool();
    for size in [(80, 24), (120, 40), (200, 60)] {
        drill_down(&shop, size, &[]);
    }
    drill_down(&shop, (80, 24), &[("NO_COLOR", "1")]);
    other_ways(&shop);
}
