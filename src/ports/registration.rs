//! Making a GitHub App of one's own: what the page that GitHub sends the browser back to needs done.

use async_trait::async_trait;

/// Turns GitHub's code into credentials that are kept.
#[async_trait]
pub trait Registration: Send + Sync {
    /// Fetches the new App's credentials and keeps them. GitHub gives them for a code once: asked with the same code again,
    /// what it gave before is kept.
    async fn complete(&self, code: &str) -> Result<Registered, Unregistered>;
}

/// An App whose credentials are kept.
#[derive(Debug, Clone)]
pub struct Registered {
    pub name: String,
    /// Where it is installed in repositories.
    pub install_url: String,
    /// What is where and what remains to be done, a line each.
    pub told: Vec<String>,
}

/// Why there are no credentials; the text is for people.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Unregistered {
    /// GitHub does not take the code. Beginning anew helps.
    #[error("{0}")]
    Refused(String),
    /// GitHub did not answer, or what it gave could not be written. Asking again with the same code helps.
    #[error("{0}")]
    Later(String),
}
