//! Serialisation of policies, for `copy` and `pickle`.
//!
//! ```
//! use fitwatch_core::policies::{Plateau, state};
//!
//! let policy = Plateau { factor: 0.5, ..Plateau::default() };
//! let bytes = state::to_bytes(&policy)?;
//! assert_eq!(state::from_bytes::<Plateau>(&bytes)?, policy);
//! assert!(state::from_bytes::<Plateau>(b"other bytes").is_err());
//! # Ok::<(), fitwatch_core::Error>(())
//! ```

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Error;

/// Must change when a field changes, because the encoding is not self-describing.
const VERSION: u8 = 3;

/// Version 2 lacks the last field of `EarlyStopping`, an empty list then. The encoding of an empty
/// list is a zero, and the other policies ignore bytes after their last field.
const WITHOUT_GOALS: u8 = 2;

/// Serialises a policy.
///
/// # Errors
/// Never, for the policies of this crate.
pub fn to_bytes(policy: &impl Serialize) -> Result<Vec<u8>, Error> {
    postcard::to_stdvec(&(VERSION, policy)).map_err(Error::State)
}

/// Deserialises a policy.
///
/// # Errors
/// When the bytes are not the state of such a policy, or have another version.
pub fn from_bytes<P: DeserializeOwned>(bytes: &[u8]) -> Result<P, Error> {
    match postcard::take_from_bytes(bytes).map_err(Error::State)? {
        (VERSION, policy) => postcard::from_bytes(policy).map_err(Error::State),
        (WITHOUT_GOALS, policy) => {
            postcard::from_bytes(&[policy, &[0]].concat()).map_err(Error::State)
        }
        (version, _) => Err(Error::StateVersion(version)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policies::{Combine, EarlyStopping, Goal, Metric, Plateau, Smoothing};

    #[test]
    fn a_policy_comes_back_as_it_was() {
        let policy = EarlyStopping {
            others: vec![
                Metric {
                    smoothing: Some(Smoothing::new(3.0)),
                    ..Metric::default()
                };
                2
            ],
            combine: Combine::Any,
            best_batch: Some(7),
            goals: vec![Goal::default(); 3],
            ..EarlyStopping::default()
        };
        let bytes = to_bytes(&policy).expect("encoded");
        assert_eq!(
            from_bytes::<EarlyStopping>(&bytes).expect("a state"),
            policy
        );
    }

    #[test]
    fn states_of_version_2_have_no_goals() {
        let policy = EarlyStopping {
            best_batch: Some(7),
            ..EarlyStopping::default()
        };
        let mut bytes = to_bytes(&policy).expect("encoded");
        bytes[0] = 2;
        assert_eq!(bytes.pop(), Some(0));
        assert_eq!(
            from_bytes::<EarlyStopping>(&bytes).expect("a state"),
            policy
        );
        bytes.pop();
        assert!(from_bytes::<EarlyStopping>(&bytes[..bytes.len() - 1]).is_err());
        let mut plateau = to_bytes(&Plateau::default()).expect("encoded");
        plateau[0] = 2;
        assert_eq!(
            from_bytes::<Plateau>(&plateau).expect("a state"),
            Plateau::default()
        );
    }

    #[test]
    fn other_versions_and_other_bytes_are_refused() {
        let mut bytes = to_bytes(&Plateau::default()).expect("encoded");
        let cut = from_bytes::<Plateau>(&bytes[..bytes.len() - 1]);
        assert!(matches!(cut, Err(Error::State(_))));
        bytes[0] += 1;
        let newer = from_bytes::<Plateau>(&bytes);
        assert!(matches!(newer, Err(Error::StateVersion(4))));
    }
}
