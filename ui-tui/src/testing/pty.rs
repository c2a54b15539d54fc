//! The terminal is given back as it was: after quitting, a panic, and signals. The explorer runs in a
//! pseudo-terminal, in a second process of this test's own binary.

use std::io::{Read, Write};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use api::ask::{Ask, Call};
use api::client::{Answer, ClientError};
use futures::future::BoxFuture;
use portable_pty::{CommandBuilder, NativePtySystem, PtySize, PtySystem};
use rustix::process::{Pid, Signal, kill_process};

use crate::Options;
use crate::action::{Layer, Place};
use crate::app::App;
use crate::event::{Key, Now};
use crate::scope::Scope;
use crate::screens::{Cx, Look, Screen};
use crate::theme::Role;
use crate::widgets::Pen;

const CHILD: &str = "OTLAKE_TEST_CHILD";
const PATIENCE: Duration = Duration::from_secs(60);

/// Answers nothing, for ever.
struct Silent;

impl Ask for Silent {
    fn call(&self, _call: Call) -> BoxFuture<'static, Result<Answer, ClientError>> {
        Box::pin(std::future::pending())
    }
}

/// The second process: runs the explorer when it is told to, and is an empty test else.
#[test]
fn child() {
    let Ok(how) = std::env::var(CHILD) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let ask = std::sync::Arc::new(Silent);
    let ended = match how.as_str() {
        "panic" => runtime.block_on(crate::show(ask, panicking())).map_err(crate::Error::from),
        _ => runtime.block_on(crate::run(ask, Options::default())),
    };
    ended.unwrap();
}

/// A screen that panics on any key.
#[derive(Debug)]
struct Panicking;

fn panicking() -> App {
    let look = crate::appearance(&Options::default());
    let now = Now { mono_ms: 0, unix_ns: super::NOW_NS };
    App::new(look, Box::new(Panicking), Place::Services, Scope::default(), now)
}

impl Screen for Panicking {
    fn layer(&self) -> Layer {
        Layer::Services
    }

    fn crumb(&self) -> String {
        "Services".into()
    }

    fn link(&self) -> String {
        String::new()
    }

    fn slots(&self) -> usize {
        0
    }

    fn layout(&self, body: ratatui::layout::Rect) -> Vec<ratatui::layout::Rect> {
        vec![body]
    }

    fn load(&mut self, _cx: &mut Cx<'_>) {}

    fn draw(&self, _pane: usize, pen: &mut Pen<'_>, _look: &Look<'_>) {
        pen.text(0, 0, 20, &"a screen".into(), Role::Text);
    }

    fn key(&mut self, key: Key, _cx: &mut Cx<'_>) -> bool {
        panic!("{key} was pressed");
    }
}

/// A pseudo-terminal with the explorer in it, and all it has written.
struct Terminal {
    writer: Box<dyn Write + Send>,
    child: Box<dyn portable_pty::Child + Send + Sync>,
    bytes: mpsc::Receiver<Vec<u8>>,
    seen: Vec<u8>,
    /// What stands on the screen.
    screen: vt100::Parser,
    /// Keeps the terminal open.
    _master: Box<dyn portable_pty::MasterPty + Send>,
}

impl Terminal {
    fn start(how: &str) -> Terminal {
        let size = PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 };
        let pair = NativePtySystem::default().openpty(size).unwrap();
        let mut command = CommandBuilder::new(std::env::current_exe().unwrap());
        command.args(["--exact", "testing::pty::child", "--nocapture"]);
        command.env(CHILD, how);
        command.env("TERM", "xterm-256color");
        command.env("LANG", "C.UTF-8");
        command.env("XDG_STATE_HOME", "/nonexistent");
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().unwrap();
        let writer = pair.master.take_writer().unwrap();
        let (sender, bytes) = mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                if sender.send(buffer[..n].to_vec()).is_err() {
                    return;
                }
            }
        });
        let screen = vt100::Parser::default();
        Terminal { writer, child, bytes, seen: Vec::new(), screen, _master: pair.master }
    }

    /// Reads until a text stands on the screen.
    fn wait_for(&mut self, text: &str) {
        let end = Instant::now() + PATIENCE;
        while !self.screen.screen().contents().contains(text) {
            let left = end.saturating_duration_since(Instant::now());
            match self.bytes.recv_timeout(left) {
                Ok(bytes) => {
                    self.screen.process(&bytes);
                    self.seen.extend(bytes);
                }
                Err(_) => panic!("no {text:?} on\n{}", self.screen.screen().contents()),
            }
        }
    }

    fn type_keys(&mut self, keys: &str) {
        self.writer.write_all(keys.as_bytes()).unwrap();
        self.writer.flush().unwrap();
    }

    /// Reads what is written until the process is gone, and returns its last words.
    fn end(mut self) -> String {
        self.seen.clear();
        let end = Instant::now() + PATIENCE;
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < end, "it does not end");
            if let Ok(bytes) = self.bytes.recv_timeout(Duration::from_millis(20)) {
                self.seen.extend(bytes);
            }
        }
        while let Ok(bytes) = self.bytes.recv_timeout(Duration::from_millis(200)) {
            self.seen.extend(bytes);
        }
        String::from_utf8_lossy(&self.seen).into_owned()
    }

    /// Waits for the kernel's word that the child has stopped: it gives the terminal back a little
    /// before, and a signal to go on would be lost then.
    fn wait_until_stopped(&self) {
        if !cfg!(target_os = "linux") {
            return;
        }
        let path = format!("/proc/{}/stat", self.child.process_id().unwrap());
        let deadline = Instant::now() + PATIENCE;
        let is_stopped =
            |stat: String| stat.rsplit(") ").next().is_some_and(|s| s.starts_with('T'));
        while !std::fs::read_to_string(&path).is_ok_and(is_stopped) {
            assert!(Instant::now() < deadline, "it does not stop");
            std::thread::yield_now();
        }
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.process_id().unwrap()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
    }
}

/// Alternate screen left, mouse, paste and focus reports off, cursor shown.
fn check_restored(last: &str) {
    for code in [
        "\x1b[?1049l",
        "\x1b[?1000l",
        "\x1b[?1002l",
        "\x1b[?1006l",
        "\x1b[?2004l",
        "\x1b[?1004l",
        "\x1b[?25h",
    ] {
        assert!(last.contains(code), "{code:?} is missing in {last:?}");
    }
}

#[test]
fn quitting_gives_the_terminal_back() {
    let mut terminal = Terminal::start("run");
    terminal.wait_for("Services");
    assert!(String::from_utf8_lossy(&terminal.seen).contains("\x1b[?1049h"));
    assert!(!String::from_utf8_lossy(&terminal.seen).contains("?1003h"), "any motion is reported");
    terminal.type_keys("q");
    check_restored(&terminal.end());
}

#[test]
fn a_panic_gives_the_terminal_back_and_then_says_why() {
    let mut terminal = Terminal::start("panic");
    terminal.wait_for("Services");
    terminal.type_keys("P");
    let last = terminal.end();
    check_restored(&last);
    let (left, told) = (last.find("\x1b[?1049l").unwrap(), last.find("P was pressed").unwrap());
    assert!(left < told, "told on the alternate screen: {last:?}");
}

#[test]
fn a_signal_gives_the_terminal_back() {
    for signal in [Signal::TERM, Signal::HUP, Signal::QUIT] {
        let mut terminal = Terminal::start("run");
        terminal.wait_for("Services");
        terminal.signal(signal);
        check_restored(&terminal.end());
    }
}

#[test]
fn it_stops_and_goes_on_as_a_job_does() {
    let mut terminal = Terminal::start("run");
    terminal.wait_for("Services");
    terminal.seen.clear();
    terminal.signal(Signal::TSTP);
    let left = |seen: &[u8]| String::from_utf8_lossy(seen).contains("\x1b[?1049l");
    while !left(&terminal.seen) {
        let bytes = terminal.bytes.recv_timeout(PATIENCE).unwrap();
        terminal.screen.process(&bytes);
        terminal.seen.extend(bytes);
    }
    let contents = terminal.screen.screen().contents();
    assert!(
        !contents.contains("Services"),
        "{contents}\n{:?}",
        String::from_utf8_lossy(&terminal.seen)
    );
    terminal.wait_until_stopped();
    terminal.signal(Signal::CONT);
    terminal.wait_for("Services");
    terminal.type_keys("q");
    check_restored(&terminal.end());
}

#[test]
fn ctrl_c_twice_ends_it_while_nothing_answers() {
    let mut terminal = Terminal::start("run");
    terminal.wait_for("Services");
    terminal.type_keys("\x03");
    terminal.wait_for("Ctrl-C again quits");
    terminal.type_keys("\x03");
    check_restored(&terminal.end());
}

#[test]
fn a_large_paste_is_no_keys() {
    let mut terminal = Terminal::start("run");
    terminal.wait_for("Services");
    let text = "q".repeat(1 << 20);
    terminal.type_keys(&format!("\x1b[200~{text}\x1b[201~"));
    terminal.wait_for("no trace id or link");
    terminal.type_keys("q");
    check_restored(&terminal.end());
}
