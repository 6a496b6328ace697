//! A new counter trades a one-time code for its place in a store.

use std::{sync::Arc, time::Duration};

use counterfoil_protocol::{
    enrolment::{EnrolRequest, EnrolResponse},
    paths,
};

use crate::{
    db,
    error::{Error, Result},
    http::{Failure, parse_address},
    identity,
    inner::Inner,
    key::{load_key, make_key},
};

const TIMEOUT: Duration = Duration::from_secs(10);
/// A lost answer is asked for again: the same code and key get the same answer.
const TRIES: u32 = 3;

/// Enrols this counter.
pub(crate) async fn enrol(inner: &Arc<Inner>, address: &str, code: &str, name: &str) -> Result<()> {
    let url = parse_address(address)?;
    if identity::find(&mut *inner.db.read().await?).await?.is_some() {
        return Err(Error::AlreadyEnrolled);
    }
    db::make_folder(&inner.folder)?;
    let key = match load_key(&inner.folder)? {
        Some(key) => key,
        None => make_key(&inner.folder, &*inner.random)?,
    };
    let request = EnrolRequest {
        code: code.trim().to_owned(),
        public_key: hex::encode(key.verifying_key().to_bytes()),
        proof: EnrolRequest::prove(code, &key),
        name: name.to_owned(),
        app_version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let mut tries = 1;
    let place: EnrolResponse = loop {
        match inner.http.post_unsigned(&url, paths::ENROL, &request, TIMEOUT).await {
            Ok(place) => break place,
            Err(Failure::Unanswered(why)) if why.may_have_arrived() && tries < TRIES => tries += 1,
            Err(failure) => return Err(failure.into()),
        }
    };
    let mut writer = inner.db.write().await;
    let mut tx = writer.begin().await?;
    if identity::find(&mut tx).await?.is_some() {
        return Err(Error::AlreadyEnrolled);
    }
    identity::create(&mut tx, url.as_str(), &place, inner.clock.now()).await?;
    tx.commit("enrol").await?;
    drop(writer);
    inner.set_key(key);
    tracing::info!(device = %place.device, store = %place.store.code, "enrolled");
    inner.wake.notify_one();
    inner.changed();
    Ok(())
}
