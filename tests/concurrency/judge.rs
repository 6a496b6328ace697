//! Judges the history when all is over.

use std::collections::{BTreeMap, BTreeSet};

use counterfoil_tests::office::Office;

use crate::{
    asking::World,
    claims::{EACH, ISSUED, Members},
    history::{Done, History},
    model::{Wanted, linearizable},
};

/// Whatever does not fit, in words.
pub async fn judge(world: &World, office: &Office, coupons: &[Wanted], members: &Members) -> Vec<String> {
    let history = std::mem::take(&mut *world.history.lock().unwrap());
    let mut violations = Vec::new();
    for (place, coupon) in coupons.iter().enumerate() {
        let mut deeds: Vec<Done> = history
            .done
            .iter()
            .filter(|done| done.coupon == place)
            .cloned()
            .collect();
        deeds.sort_by_key(|done| done.asked);
        if let Err(why) = linearizable(&deeds) {
            violations.push(format!("coupon {}: {why}", coupon.code));
        }
    }
    violations.extend(same(&history.outcomes, "operation"));
    violations.extend(same(&history.named, "question"));
    violations.extend(journals(&history));
    violations.extend(at_head_office(office, &history).await);
    violations.extend(claims(office, &history, members).await);
    violations
}

/// Every one has one answer for ever.
fn same(answers: &BTreeMap<String, Vec<String>>, what: &str) -> Vec<String> {
    let several = answers
        .iter()
        .filter(|(_, answers)| answers.iter().any(|answer| *answer != answers[0]));
    several
        .map(|(id, answers)| {
            let different: BTreeSet<&String> = answers.iter().collect();
            format!("{what} {id} got several answers: {different:?}")
        })
        .collect()
}

/// Whoever reads where a journal stands sees all that was answered before, and nothing that was not sent yet.
fn journals(history: &History) -> Vec<String> {
    let mut violations = Vec::new();
    for stood in &history.stood {
        let own = || history.pushed.values().filter(|pushed| pushed.device == stood.device);
        let least = own()
            .filter(|pushed| pushed.answered < stood.asked)
            .map(|pushed| pushed.seq)
            .max();
        let most = own()
            .filter(|pushed| pushed.sent < stood.answered)
            .map(|pushed| pushed.seq)
            .max();
        let (least, most) = (least.unwrap_or(0), most.unwrap_or(0));
        if !(least..=most).contains(&stood.seq) {
            violations.push(format!(
                "the journal of {} stood at {}, and {least} was answered, {most} sent",
                stood.device, stood.seq
            ));
        }
    }
    violations
}

/// What was answered is there, once and as it was answered; nothing went wrong while all were online.
async fn at_head_office(office: &Office, history: &History) -> Vec<String> {
    let mut violations = Vec::new();
    let rows: Vec<(Vec<u8>, String)> = sqlx::query_as("SELECT id, outcome FROM operations")
        .fetch_all(&mut office.database().await)
        .await
        .unwrap();
    let mut there = BTreeMap::new();
    for (id, outcome) in rows {
        let id = uuid::Uuid::from_slice(&id).unwrap().to_string();
        if there.insert(id.clone(), outcome).is_some() {
            violations.push(format!("{id} is there twice"));
        }
    }
    for (id, outcomes) in &history.outcomes {
        if there.get(id) != outcomes.first() {
            violations.push(format!("{id} was answered {outcomes:?} and is {:?}", there.get(id)));
        }
    }
    for id in there.keys().filter(|id| !history.pushed.contains_key(*id)) {
        violations.push(format!("{id} was never sent"));
    }
    for what in ["exceptions", "branches"] {
        let count = office.number(&format!("SELECT COUNT(*) FROM {what}")).await;
        if count != 0 {
            violations.push(format!("{count} {what}, and everybody was online"));
        }
    }
    violations
}

/// No coupon twice, no more than were issued, nobody more than is allowed; refused only when one of these was reached.
async fn claims(office: &Office, history: &History, members: &Members) -> Vec<String> {
    let mut violations = Vec::new();
    let (mut given, mut of_members) = (BTreeSet::new(), BTreeMap::new());
    for (key, (member, coupon)) in &history.claims {
        let Some(coupon) = coupon else { continue };
        if !given.insert(coupon.clone()) {
            violations.push(format!("{key} got coupon {coupon}, which somebody else got too"));
        }
        *of_members.entry(*member).or_insert(0) += 1;
    }
    if given.len() > ISSUED {
        violations.push(format!("{} were given and {ISSUED} issued", given.len()));
    }
    for (member, count) in &of_members {
        if *count > EACH {
            violations.push(format!("member {member} got {count}"));
        }
    }
    for (key, (member, coupon)) in &history.claims {
        let own = of_members.get(member).copied().unwrap_or(0);
        if coupon.is_none() && own < EACH && given.len() < ISSUED {
            violations.push(format!(
                "{key} was refused, with {own} of their own and {} given",
                given.len()
            ));
        }
    }
    let claimed = "SELECT coupon FROM claims WHERE coupon IS NOT NULL";
    let there: Vec<Vec<u8>> = sqlx::query_scalar(claimed)
        .fetch_all(&mut office.database().await)
        .await
        .unwrap();
    let there: BTreeSet<String> = there
        .iter()
        .map(|id| uuid::Uuid::from_slice(id).unwrap().to_string())
        .collect();
    if there != given {
        violations.push(format!(
            "of template {} {given:?} were given, and head office says {there:?}",
            members.template
        ));
    }
    violations
}
