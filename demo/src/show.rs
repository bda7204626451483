//! The terminal: a line per status as it changes, and on a terminal a spinner that shows that time passes.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

pub(crate) struct Screen {
    start: Instant,
    spinner: ProgressBar,
}

impl Screen {
    pub(crate) fn new() -> Self {
        let spinner = ProgressBar::new_spinner();
        let style = ProgressStyle::with_template("{spinner} {elapsed} {msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
        spinner.set_style(style);
        spinner.enable_steady_tick(Duration::from_millis(120));
        Self { start: Instant::now(), spinner }
    }

    pub(crate) fn say(&self, text: &str) {
        self.line(&format!("· {text}"));
    }

    pub(crate) fn status(&self, context: &str, state: &str, description: &str) {
        self.spinner.set_message(format!("{context}: {description}"));
        self.line(&format!("{} {context:<24} {state:<8} {description}", mark(state)));
    }

    /// Waits a moment; the spinner goes on.
    pub(crate) async fn wait(&self, pause: Duration) {
        tokio::time::timeout(pause, std::future::pending::<()>()).await.ok();
    }

    pub(crate) fn finish(&self) {
        self.spinner.finish_and_clear();
    }

    fn line(&self, text: &str) {
        let line = format!("{:6.1}s  {text}", self.start.elapsed().as_secs_f64());
        self.spinner.suspend(|| println!("{line}"));
    }
}

/// One sign per state.
pub(crate) fn mark(state: &str) -> &'static str {
    match state {
        "success" => "✓",
        "failure" | "error" => "✗",
        _ => "…",
    }
}
