//! Invariants that SQL can say.

/// An invariant. Each statement finds what breaks it: `id` of a row and `what` is wrong with it.
///
/// A statement reads one table as a whole, once, and finds the rows that belong to each of its rows by a key, or sums up
/// another table that it also reads once. SQLite knows nothing of how many rows there are: where it might begin at the
/// other end, and read a whole chain's coupons for each batch, the join is an outer one and its condition bears NULL, so
/// that it can't. The test `plans` looks at what both engines make of it.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Where it stands in what `verify` prints.
    pub place: u16,
    /// Its name; stable.
    pub name: &'static str,
    /// How many rows it is about.
    pub counted: &'static str,
    /// What breaks it.
    pub broken: &'static [&'static str],
}
