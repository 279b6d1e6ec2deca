//! Arguments that every example has, and what they have to be.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

/// Arguments of every example.
#[derive(Args)]
pub(crate) struct Common {
    /// Seed of everything random
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Where the picture goes
    #[arg(long, value_name = "FILE", default_value = concat!(env!("CARGO_CRATE_NAME"), ".svg"), value_parser = writable)]
    pub(crate) svg: PathBuf,
    /// Print one JSON line last, and no progress bar
    #[arg(long)]
    pub(crate) json: bool,
}

impl Common {
    /// A progress bar for so many steps, whose message is what `label` names.
    pub(crate) fn progress(&self, n_steps: usize, label: &str) -> ProgressBar {
        if self.json {
            return ProgressBar::hidden();
        }
        let template = format!("{{bar:40}} {{pos}}/{{len}}  {label} {{msg}}  {{elapsed}}");
        let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
        ProgressBar::new(n_steps as u64).with_style(style)
    }
}

/// Runs an example: its error goes to the standard error, in one line.
pub(crate) fn exit_code(result: Result<(), Box<dyn Error>>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A finite number above zero.
pub(crate) fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(x) if x > 0.0 && x.is_finite() => Ok(x),
        Ok(_) => Err("it must be a finite number above zero".into()),
        Err(e) => Err(e.to_string()),
    }
}

/// A whole number above zero.
pub(crate) fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(0) => Err("it must be at least 1".into()),
        Ok(n) => Ok(n),
        Err(e) => Err(e.to_string()),
    }
}

/// A path in a folder that exists, so that a run is not lost at its end.
fn writable(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match path.parent() {
        _ if path.file_name().is_none() => Err("it must be the path of a file".into()),
        Some(folder) if !folder.as_os_str().is_empty() && !folder.is_dir() => Err(format!("there is no folder `{}`", folder.display())),
        Some(_) | None => Ok(path),
    }
}
