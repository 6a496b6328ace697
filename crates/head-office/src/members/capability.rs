//! What members bring along.

use super::{http, image, listed, sessions, table};
use crate::capability::Capability;

/// The line in the list of capabilities.
pub const CAPABILITY: Capability = Capability {
    tables: |_| vec![Box::new(table::Members)],
    people: || http::routes().merge(listed::routes()),
    forgets: &[|connection, now, most| {
        Box::pin(async move { Ok(sessions::forget(connection, now, most).await? >= most.unsigned_abs()) })
    }],
    images: &[&image::Members],
    ..Capability::NONE
};
