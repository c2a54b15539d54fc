//! Shows the explorer over a server: `explore [--url http://127.0.0.1:4319] [--open LINK] [--range 1h]`.

use std::sync::Arc;

use api::client::Client;
use ui_tui::Options;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut url = "http://127.0.0.1:4319".to_owned();
    let mut options = Options::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--ascii" => options.ascii = true,
            "--no-mouse" => options.no_mouse = true,
            name => {
                let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
                match name {
                    "--url" => url = value,
                    "--open" => options.open = Some(value),
                    "--range" => options.range = Some(value),
                    "--filter" => options.filter = Some(value),
                    "--theme" => options.theme = Some(value.parse()?),
                    other => return Err(format!("no argument {other}").into()),
                }
            }
        }
    }
    let client = Client::new(&url)?;
    Ok(ui_tui::run(Arc::new(client), options).await?)
}
