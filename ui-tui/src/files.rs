//! Files and the person's editor: what the runtime does outside of terminal and server.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use api::ask::Ask;

use crate::kept::{Change, Kept};
use crate::request::Request;

/// Names tried when a file of that name is there.
const NAMES_MAX: u32 = 100;

/// Writes a new file here and says which.
pub(crate) async fn write(name: String, bytes: Vec<u8>) -> Result<String, String> {
    let wrote = tokio::task::spawn_blocking(move || {
        let (mut file, path) = create(&name)?;
        file.write_all(&bytes)?;
        Ok(path)
    });
    told(wrote.await.map_err(io::Error::other).flatten())
}

/// Asks and writes the answer as it comes.
pub(crate) async fn download(
    name: String,
    request: Request,
    ask: Arc<dyn Ask>,
) -> Result<String, String> {
    let answer = ask.call(request.call).await.map_err(|error| error.to_string())?;
    let mut answer = answer.checked().await.map_err(|error| error.to_string())?;
    let (file, path) = create(&name).map_err(|error| error.to_string())?;
    let mut file = tokio::fs::File::from_std(file);
    while let Some(chunk) = answer.chunk().await.map_err(|error| error.to_string())? {
        tokio::io::AsyncWriteExt::write_all(&mut file, &chunk).await.map_err(|e| e.to_string())?;
    }
    tokio::io::AsyncWriteExt::flush(&mut file).await.map_err(|e| e.to_string())?;
    told(Ok(path))
}

/// Gives a text to a program of the host, such as that of its clipboard.
pub(crate) async fn pipe(command: &'static [&'static str], text: String) -> Result<String, String> {
    use std::process::Stdio;
    let piped = async {
        let (program, arguments) = command.split_first().ok_or(io::ErrorKind::NotFound)?;
        let mut child = tokio::process::Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        if let Some(mut input) = child.stdin.take() {
            tokio::io::AsyncWriteExt::write_all(&mut input, text.as_bytes()).await?;
        }
        let status = child.wait().await?;
        if status.success() { Ok(program) } else { Err(io::Error::other(status.to_string())) }
    };
    match piped.await {
        Ok(program) => Ok(format!("copied by {program}")),
        Err(error) => Err(format!("{}: {error}", command.join(" "))),
    }
}

fn told(wrote: io::Result<PathBuf>) -> Result<String, String> {
    match wrote {
        Ok(path) => Ok(format!("written: {}", path.display())),
        Err(error) => Err(error.to_string()),
    }
}

/// A new file of that name, or of one like it: nothing is written over.
fn create(name: &str) -> io::Result<(std::fs::File, PathBuf)> {
    let path = Path::new(name);
    for n in 1..=NAMES_MAX {
        let path = if n == 1 { path.to_owned() } else { numbered(path, n) };
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => return Ok((other?, path)),
        }
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("{name} is there already")))
}

fn numbered(path: &Path, n: u32) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let ending = path.extension().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{stem}-{n}.{ending}"))
}

/// The file of what is kept over restarts; none where nobody says where such files are.
fn kept_path() -> Option<PathBuf> {
    let directory =
        |name: &str| std::env::var_os(name).filter(|d| !d.is_empty()).map(PathBuf::from);
    let state =
        directory("XDG_STATE_HOME").or_else(|| Some(directory("HOME")?.join(".local/state")));
    Some(state?.join("otlake/explorer.toml"))
}

/// What is kept; nothing where there is no file yet.
pub(crate) fn kept() -> Result<Kept, String> {
    let Some(path) = kept_path() else { return Ok(Kept::default()) };
    read_kept(&path).map_err(|error| format!("nothing is kept: {}: {error}", path.display()))
}

fn read_kept(path: &Path) -> io::Result<Kept> {
    match std::fs::read_to_string(path) {
        Ok(text) => toml::from_str(&text).map_err(io::Error::other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Kept::default()),
        Err(error) => Err(error),
    }
}

/// Makes a change to what is kept. A file that cannot be read stays as it is.
pub(crate) async fn keep(change: Change) -> Result<String, String> {
    // One change after the other: each reads what the one before has written.
    static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let Some(path) = kept_path() else { return Ok(String::new()) };
    let shown = path.display().to_string();
    let kept = tokio::task::spawn_blocking(move || {
        let _one = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut kept = read_kept(&path)?;
        kept.change(&change);
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        let text = toml::to_string(&kept).map_err(io::Error::other)?;
        let new = path.with_extension(format!("{}.new", std::process::id()));
        private_file(&new, &text)?;
        std::fs::rename(new, path)
    });
    let kept = kept.await.map_err(io::Error::other).flatten();
    kept.map(|()| String::new()).map_err(|error| format!("{shown}: {error}"))
}

/// Lets the person edit a text with `$VISUAL` or `$EDITOR`. The terminal must have been lent.
pub(crate) async fn edit(text: String) -> Result<String, String> {
    let editor = ["VISUAL", "EDITOR"].iter().find_map(|name| std::env::var(name).ok());
    let editor = editor.ok_or("set EDITOR to the editor to use")?;
    let file = std::env::temp_dir().join(format!("otlake-{}.sql", std::process::id()));
    let path = file.clone();
    let edited = async {
        private_file(&file, &text)?;
        // A shell, since an editor may have arguments: `code --wait`.
        let mut command = tokio::process::Command::new("sh");
        let status =
            command.arg("-c").arg(format!("{editor} \"$1\"")).arg("sh").arg(&file).status().await?;
        if status.success() {
            std::fs::read_to_string(&file)
        } else {
            Err(io::Error::other(format!("the editor ended with {status}")))
        }
    };
    let result = edited.await.map_err(|error| error.to_string());
    // Left behind, it lies in the directory for temporary files.
    let _ = std::fs::remove_file(path);
    result
}

fn private_file(path: &Path, text: &str) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}
