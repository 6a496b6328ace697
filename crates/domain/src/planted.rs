//! Known bugs, planted on purpose to see that the tests find them. Only with the feature `planted`, which no release has.

/// The environment variable that names the bug which is active.
pub const VARIABLE: &str = "COUNTERFOIL_PLANTED";

/// Whether this bug is active.
#[cfg(feature = "planted")]
pub fn is(name: &str) -> bool {
    static ACTIVE: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    ACTIVE.get_or_init(|| std::env::var(VARIABLE).ok()).as_deref() == Some(name)
}

/// Whether this bug is active: never.
#[cfg(not(feature = "planted"))]
#[inline(always)]
pub const fn is(_name: &str) -> bool {
    false
}

/// `planted!("name", what the bug does, what is right)`.
#[macro_export]
macro_rules! planted {
    ($name:literal, $wrong:expr, $right:expr) => {
        if $crate::planted::is($name) { $wrong } else { $right }
    };
}
