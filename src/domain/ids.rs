//! Typed, time-ordered identifiers. A run's id cannot be passed where a cluster's is wanted.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id that sorts after every id made at an earlier millisecond.
            pub fn new(now: Timestamp) -> Self {
                let (seconds, nanos) = unix(now);
                Self(Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanos)))
            }

            /// When it was made, to the millisecond.
            pub fn made_at(self) -> Option<Timestamp> {
                let (seconds, nanos) = self.0.get_timestamp()?.to_unix();
                Timestamp::new(i64::try_from(seconds).ok()?, i32::try_from(nanos).ok()?).ok()
            }

            /// The first and last groups of digits: short enough for a container's name, still unique in practice.
            pub fn short(self) -> String {
                let all = self.0.simple().to_string();
                format!("{}{}", &all[4..12], &all[26..32])
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::try_parse(text).map(Self)
            }
        }
    };
}

id!(
    /// One passage through the gate.
    RunId
);
id!(
    /// One execution of a suite.
    AttemptId
);
id!(
    /// One leased throwaway cluster.
    ClusterId
);

fn unix(now: Timestamp) -> (u64, u32) {
    let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
    (millis / 1000, u32::try_from(millis % 1000).unwrap_or(0) * 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_read_back() {
        let early = RunId::new(Timestamp::from_second(1_700_000_000).unwrap());
        let late = RunId::new(Timestamp::from_second(1_700_000_001).unwrap());
        assert!(early < late);
        assert_eq!(early.made_at(), Timestamp::from_second(1_700_000_000).ok());
        assert_eq!(early.to_string().parse::<RunId>().unwrap(), early);
        assert_eq!(early.short().len(), 14);
        assert_ne!(early.short(), late.short());
    }
}
