//! What the environment says about a first start, so that a trial needs no typing. Ignored once it has happened.

use std::path::PathBuf;

/// Head office's address.
const CONNECT: &str = "COUNTERFOIL_CONNECT";
/// The one-time code for it.
const CODE: &str = "COUNTERFOIL_ENROL_CODE";
/// `name:pin` of somebody in demo data.
const SIGN_IN: &str = "COUNTERFOIL_DEMO_SIGN_IN";
/// What `counterfoil-hq seed --demo` printed.
const HINTS: &str = "COUNTERFOIL_DEMO_HINTS";

/// Where to enrol.
#[derive(Clone, PartialEq, Eq)]
pub struct Invitation {
    pub address: String,
    pub code: String,
}

/// Who to sign in.
#[derive(Clone, PartialEq, Eq)]
pub struct SignIn {
    pub name: String,
    pub pin: String,
}

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    pub invitation: Option<Invitation>,
    pub sign_in: Option<SignIn>,
    pub hints: Option<PathBuf>,
}

impl std::fmt::Debug for Invitation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Invitation")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for SignIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignIn")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Environment {
    pub fn read() -> Self {
        Self::of(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn of(value: impl Fn(&str) -> Option<String>) -> Self {
        let invitation = value(CONNECT)
            .zip(value(CODE))
            .map(|(address, code)| Invitation { address, code });
        let sign_in = value(SIGN_IN).and_then(|both| {
            let (name, pin) = both.rsplit_once(':')?;
            Some(SignIn {
                name: name.to_owned(),
                pin: pin.to_owned(),
            })
        });
        Self {
            invitation,
            sign_in,
            hints: value(HINTS).map(PathBuf::from),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_halves_or_none() {
        let of = |pairs: &[(&str, &str)]| {
            let found = |name: &str| {
                pairs
                    .iter()
                    .find(|(key, _)| *key == name)
                    .map(|(_, value)| (*value).to_owned())
            };
            Environment::of(found)
        };
        assert_eq!(of(&[]), Environment::default());
        assert_eq!(of(&[(CONNECT, "http://127.0.0.1:1")]).invitation, None);
        let all = of(&[
            (CONNECT, "http://127.0.0.1:1"),
            (CODE, "ABCDE-FGHIJ"),
            (SIGN_IN, "陈 雨:654321"),
        ]);
        assert_eq!(all.invitation.unwrap().code, "ABCDE-FGHIJ");
        let sign_in = all.sign_in.unwrap();
        assert_eq!((sign_in.name.as_str(), sign_in.pin.as_str()), ("陈 雨", "654321"));
        assert!(!format!("{sign_in:?}").contains("654321"));
        assert_eq!(of(&[(SIGN_IN, "nobody")]).sign_in, None);
    }
}
