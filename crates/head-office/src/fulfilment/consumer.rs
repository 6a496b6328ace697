//! Makes shipping requests of the messages that ask for them.

use std::sync::Arc;

use async_trait::async_trait;
use counterfoil_domain::planted;

use super::{Bell, ShipRequest, TOPIC_SHIP, requests};
use crate::{
    app::App,
    deed::Deed,
    http::Fields,
    outbox::{Consumer, Done, Message, NotDone},
    processes::Role,
};

/// Requests that are made in one transaction: few enough that people wait no longer for it than for a group of their own.
const TOGETHER: usize = 32;

/// The consumer of [`TOPIC_SHIP`].
#[derive(Debug)]
pub struct Ships;

#[async_trait]
impl Consumer for Ships {
    fn topic(&self) -> &'static str {
        TOPIC_SHIP
    }

    fn role(&self) -> Role {
        Role::Fulfilment
    }

    fn at_once(&self) -> usize {
        2 * TOGETHER
    }

    async fn handle(&self, app: &Arc<App>, message: &Message) -> Result<Done, NotDone> {
        self.handle_together(app, std::slice::from_ref(message)).await
    }

    fn together(&self) -> usize {
        TOGETHER
    }

    async fn handle_together(&self, app: &Arc<App>, messages: &[Message]) -> Result<Done, NotDone> {
        let done = Message::consume_together(messages, app, async |deed, messages| ship(deed, messages).await).await?;
        app.own.of::<Bell>().0.notify_one();
        Ok(done)
    }
}

async fn ship(deed: &mut Deed<'_>, messages: &[&Message]) -> Result<(), NotDone> {
    let requests: Vec<ShipRequest> = messages
        .iter()
        .map(|message| asked(message))
        .collect::<Result<_, _>>()?;
    if planted!("nothing_shipped", false, true) {
        requests::create(deed, &requests).await?;
    }
    Ok(())
}

fn asked(message: &Message) -> Result<ShipRequest, NotDone> {
    let mut request: ShipRequest = message.read()?;
    let mut fields = Fields::default();
    requests::check(&mut fields, &mut request);
    if !fields.are_fine() {
        return Err(NotDone::Bad("it asks for what can't be sent".to_owned()));
    }
    Ok(request)
}
