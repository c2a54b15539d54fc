//! The prompt of `otlake sql` as a person uses it, on a pseudo-terminal; and statements from a pipe.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use nix::pty::{Winsize, openpty};
use tempfile::TempDir;

use crate::support::{Server, otlake};

/// A prompt that says nothing for so long hangs.
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);
const ENTER: &str = "\r";
const UP: &str = "\x1b[A";
const PROMPT: &str = "otlake> ";

/// A running prompt and all that it has written.
struct Prompt {
    child: Child,
    keys: File,
    output: Receiver<Vec<u8>>,
    screen: String,
    /// Bytes of `screen` that were looked at.
    seen: usize,
}

impl Prompt {
    fn open(server: &Server, state: &TempDir) -> Prompt {
        let size = Winsize { ws_row: 50, ws_col: 200, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(&size, None).unwrap();
        let terminal = || Stdio::from(pty.slave.try_clone().unwrap());
        let child = otlake()
            .args(["sql", "--url", &server.url(), "--color", "never"])
            .env("XDG_STATE_HOME", state.path())
            .env("TERM", "xterm")
            .stdin(terminal())
            .stdout(terminal())
            .stderr(terminal())
            .spawn()
            .unwrap();
        let keys = File::from(pty.master);
        let mut screen = keys.try_clone().unwrap();
        let (sender, output) = mpsc::channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // Reading fails once no one has the terminal's other side.
            while let Ok(count) = screen.read(&mut bytes) {
                if count == 0 || sender.send(bytes[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        let mut prompt = Prompt { child, keys, output, screen: String::new(), seen: 0 };
        prompt.wait_for(PROMPT);
        prompt
    }

    /// Types, and returns what is written until the text and then the next prompt come.
    fn types(&mut self, keys: &str, answer: &str) -> String {
        self.keys.write_all(keys.as_bytes()).unwrap();
        let mut written = self.wait_for(answer);
        written.push_str(&self.wait_for(PROMPT));
        written
    }

    fn wait_for(&mut self, text: &str) -> String {
        let deadline = Instant::now() + ANSWERS_WITHIN;
        loop {
            if let Some(at) = self.screen[self.seen..].find(text) {
                let end = self.seen + at + text.len();
                let written = self.screen[self.seen..end].to_owned();
                self.seen = end;
                return written;
            }
            match self.output.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.screen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("no {text:?} in {:?}", &self.screen[self.seen..])
                }
            }
        }
    }

    fn leaves(mut self, keys: &str) -> ExitStatus {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.child.wait().unwrap()
    }
}

impl Drop for Prompt {
    fn drop(&mut self) {
        // Already ended where the test left it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_person_types_at_the_prompt() {
    let (dir, state) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let server = Server::start(dir.path(), &[]);
    let mut prompt = Prompt::open(&server, &state);
    // Enter continues a statement until its semicolon; no answer is part of what was typed.
    prompt.types(&format!("select 20 +{ENTER}22 as sum;{ENTER}"), "42");
    prompt.types(&format!("select 'a' || 'b' as x; select 'c' || 'd' as x;{ENTER}"), "cd");
    let error = prompt.types(&format!("select nothing;{ENTER}"), "error:");
    assert!(!error.contains("42"), "{error}");
    prompt.types(&format!("select 7 * 11 as good;{ENTER}"), "77");
    // The one before the one with the error.
    prompt.types(&format!("{UP}{UP}{UP}{ENTER}"), "cd");
    prompt.types(&format!("\\f csv{ENTER}"), "");
    prompt.types(&format!("select 6 * 6 as n, 2 as m;{ENTER}"), "36,2");
    prompt.types(&format!("\\d{ENTER}"), "metric_points");
    prompt.types(&format!("\\d spans{ENTER}"), "trace_id");
    prompt.types(&format!("\\?{ENTER}"), "Ctrl-R searches the history");
    // Ctrl-C drops the line.
    prompt.types("select 'half\x03", "");
    prompt.types(&format!("select 5 * 19 as n;{ENTER}"), "95");
    assert!(prompt.leaves(&format!("\\q{ENTER}")).success());
    // The history is kept for the next time; a search finds the statement over two lines.
    let mut prompt = Prompt::open(&server, &state);
    prompt.types(&format!("{UP}{UP}{ENTER}"), "95");
    prompt.types(&format!("\x12as sum{ENTER}{ENTER}"), "42");
    // Ctrl-D leaves.
    assert!(prompt.leaves("\x04").success());
}

#[test]
fn statements_come_from_a_pipe_too() {
    let dir = TempDir::new().unwrap();
    let server = Server::start(dir.path(), &[]);
    let cases = [
        ("select 20 +\n 22;\n-- a remark; with a semicolon\nselect 'x;y'", 0, "42\nx;y\n", ""),
        ("select 1; select nothing; select 2", 1, "1\n", "error:"),
        ("  -- nothing\n", 2, "", "there is no statement"),
    ];
    for (typed, code, stdout, stderr) in cases {
        let mut child = otlake()
            .args(["sql", "--url", &server.url()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{typed}: {told}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), stdout, "{typed}");
        assert!(told.contains(stderr), "{typed}: {told}");
    }
}
