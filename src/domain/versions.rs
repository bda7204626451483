//! Kubernetes versions and ranges of them, such as `>=1.30 <1.35`. Pure.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The numbers of a version; what is not said of one that bounds a range is 0.
type Numbers = [u32; 3];

/// A range of versions: every comparison must hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VersionRange {
    text: String,
    bounds: Vec<(Comparison, Numbers, usize)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    AtLeast,
    Above,
    AtMost,
    Below,
    Equal,
}

impl VersionRange {
    /// Whether a version such as `v1.34.4` is in the range. One that cannot be read is.
    pub fn contains(&self, version: &str) -> bool {
        let Some((version, _)) = numbers(version.trim_start_matches('v')) else { return true };
        self.bounds.iter().all(|(comparison, bound, said)| {
            // `1.34` stands for every 1.34.x.
            let order = version[..*said].cmp(&bound[..*said]);
            match comparison {
                Comparison::AtLeast => order != Ordering::Less,
                Comparison::Above => order == Ordering::Greater,
                Comparison::AtMost => order != Ordering::Greater,
                Comparison::Below => order == Ordering::Less,
                Comparison::Equal => order == Ordering::Equal,
            }
        })
    }
}

impl FromStr for VersionRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a range of versions such as `>=1.30 <1.35` or `1.34`");
        let bounds: Option<Vec<_>> = text.split([' ', ',']).filter(|part| !part.is_empty()).map(bound).collect();
        match bounds {
            Some(bounds) if !bounds.is_empty() && bounds.len() <= 8 => {
                Ok(Self { text: text.trim().to_owned(), bounds })
            }
            _ => Err(wrong()),
        }
    }
}

impl TryFrom<String> for VersionRange {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<VersionRange> for String {
    fn from(range: VersionRange) -> String {
        range.text
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn bound(part: &str) -> Option<(Comparison, Numbers, usize)> {
    const SIGNS: [(&str, Comparison); 5] = [
        (">=", Comparison::AtLeast),
        (">", Comparison::Above),
        ("<=", Comparison::AtMost),
        ("<", Comparison::Below),
        ("=", Comparison::Equal),
    ];
    let sign = SIGNS.iter().find_map(|(sign, comparison)| Some((part.strip_prefix(sign)?, *comparison)));
    let (rest, comparison) = sign.unwrap_or((part, Comparison::Equal));
    let (numbers, said) = numbers(rest.trim_start_matches('v'))?;
    Some((comparison, numbers, said))
}

/// The numbers, and how many of them are said.
fn numbers(text: &str) -> Option<(Numbers, usize)> {
    let plain = text.split(['-', '+']).next()?;
    let parts: Vec<u32> = plain.split('.').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let mut all = [0; 3];
    all.get_mut(..parts.len())?.copy_from_slice(&parts);
    Some((all, parts.len()))
}

/// The Kubernetes version that a node image's tag tells, such as `v1.34.4` of `rancher/k3s:v1.34.4-k3s1`.
pub fn of_image(image: &str) -> Option<String> {
    let (_, tag) = image.rsplit_once(':')?;
    let (numbers, said) = numbers(tag.trim_start_matches('v'))?;
    (said == 3).then(|| format!("v{}.{}.{}", numbers[0], numbers[1], numbers[2]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_every_comparison_at_once() {
        let cases = [
            (">=1.30 <1.35", "v1.34.4", true),
            (">=1.30 <1.35", "v1.35.0", false),
            (">=1.30, <1.35", "v1.30.0", true),
            ("1.34", "v1.34.9", true),
            ("=1.34.4", "v1.34.5", false),
            (">1.34", "v1.34.9", false),
            ("<=1.34", "v1.34.9", true),
            (">=1.34.4", "v1.34.4-rc.1", true),
            (">=1.34", "unknown", true),
        ];
        for (range, version, expected) in cases {
            assert_eq!(range.parse::<VersionRange>().unwrap().contains(version), expected, "{version} in {range}");
        }
        for bad in ["", ">=", "one", "1.2.3.4", ">= 1.30"] {
            assert!(bad.parse::<VersionRange>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_node_image_tells_its_version_by_its_tag() {
        assert_eq!(of_image("rancher/k3s:v1.34.4-k3s1").as_deref(), Some("v1.34.4"));
        assert_eq!(of_image("portcullis/node:1.34.4").as_deref(), Some("v1.34.4"));
        for silent in ["node", "node:latest", "host:5000/node", "node:1.34"] {
            assert_eq!(of_image(silent), None, "{silent}");
        }
    }
}
