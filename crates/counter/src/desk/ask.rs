//! What head office says of a thing, kept.

use std::time::Duration;

use counterfoil_domain::{people::mask_phone, transition::Subject};
use counterfoil_protocol::{
    paths,
    questions::{ASK_TIMEOUT, LookupRequest, LookupResponse},
    sync::{Image, Row},
};
use uuid::Uuid;

use crate::{
    ambient::random_bytes,
    copies::question_about,
    error::Result,
    http::{Failure, Sending},
    identity::{self, Identity},
    inner::Inner,
    intake,
    overlay::{self, Here},
    replica,
};

/// Asks head office, and keeps what it says. Whether it answered.
pub async fn ask(inner: &Inner, who: &Identity, question: &LookupRequest) -> Result<bool> {
    let credentials = inner.credentials(who)?;
    let sending = Sending {
        time: who.true_time(inner.clock.now()),
        timeout: Duration::from_millis(u64::try_from(ASK_TIMEOUT).unwrap_or(1_000)),
        idempotency_key: None,
    };
    let key = Uuid::from_bytes(random_bytes::<16>(&*inner.random)?).to_string();
    let sending = Sending {
        idempotency_key: Some(&key),
        ..sending
    };
    let answer: Result<LookupResponse, Failure> =
        inner.http.post(&credentials, paths::LOOKUPS, question, sending).await;
    inner.question_heard(answer.as_ref().err())?;
    let mut response = match answer {
        Ok(response) => response,
        Err(failure) => {
            tracing::info!(?failure, "a look-up went unanswered");
            if let Failure::Problem(problem) = &failure {
                intake::problem(&inner.db, problem, inner.clock.now()).await?;
            }
            return Ok(false);
        }
    };
    if let LookupRequest::Phone(phone) = question {
        unmask(&mut response.rows, phone);
    }
    let mut writer = inner.db.write().await;
    let mut tx = writer.begin().await?;
    let who = identity::load(&mut tx).await?;
    let keys = replica::store(&mut tx, &response.rows, who.generation, true).await?;
    overlay::renew_touched(&mut tx, &keys, Here::of(&who)).await?;
    tx.commit("look_up").await?;
    Ok(true)
}

/// Head office masks the number of a member whom this store does not hold; here it was just typed.
fn unmask(rows: &mut [Row], phone: &str) {
    for row in rows {
        if let Image::Member(member) = &mut row.image
            && member.phone == mask_phone(phone)
        {
            phone.clone_into(&mut member.phone);
        }
    }
}

/// Brings one row in line with head office, if it answers.
pub async fn refresh(inner: &Inner, who: &Identity, subject: Subject) -> Result<()> {
    match question_about(subject) {
        Some(question) => ask(inner, who, &question).await.map(drop),
        None => Ok(()),
    }
}
