//! The last words of containers, for messages and diagnoses. Bounded in lines and bytes, and plain text whatever was printed.

use bollard::query_parameters::LogsOptionsBuilder;
use futures_util::StreamExt;

use super::engine::{Engine, bounded};
use super::error::EngineError;
use super::limits;
use super::lines::clean;
use super::objects::Found;

impl Engine {
    /// The last lines of a container's log, the newest last, at most `max_bytes`.
    pub(super) async fn tail(&self, container: &str, lines: usize, max_bytes: usize) -> Result<String, EngineError> {
        let options = LogsOptionsBuilder::new().stdout(true).stderr(true).tail(&lines.to_string()).build();
        let mut stream = self.api().await?.logs(container, Some(options));
        let read = async {
            let mut raw = Vec::new();
            while let Some(piece) = stream.next().await {
                raw.extend_from_slice(piece?.as_ref());
                // Twice the wanted amount, then down to it: a tail of huge lines stays bounded.
                if raw.len() > 2 * max_bytes {
                    raw.drain(..raw.len() - max_bytes);
                }
            }
            Ok(raw)
        };
        let raw = bounded("reading a container's log", limits::CALL, read).await?;
        let text: Vec<String> = raw.split(|&byte| byte == b'\n').map(clean).collect();
        Ok(last_bytes(text.join("\n").trim_end(), max_bytes).to_owned())
    }

    /// The logs of several containers, each under its name, together at most `max_bytes`.
    pub(super) async fn tails(&self, containers: &[Found], max_bytes: usize) -> Result<String, EngineError> {
        let share = max_bytes / containers.len().max(1);
        let mut all = String::new();
        for container in containers {
            let title = format!("==> {} <==\n", container.name);
            let tail = match self.tail(&container.id, 400, share.saturating_sub(title.len() + 1)).await {
                Err(error) if error.is_missing() => "it is gone".to_owned(),
                other => other?,
            };
            all.push_str(&title);
            all.push_str(&tail);
            all.push('\n');
        }
        Ok(all)
    }
}

/// The end of a text, not cut inside a character.
fn last_bytes(text: &str, max: usize) -> &str {
    let mut start = text.len().saturating_sub(max);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_kept_and_characters_stay_whole() {
        assert_eq!(last_bytes("abc", 10), "abc");
        assert_eq!(last_bytes("aéb", 2), "b");
    }
}
