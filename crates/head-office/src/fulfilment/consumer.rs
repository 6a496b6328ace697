//! Makes shipping requests of the messages that ask for them.

use std::sync::Arc;

use async_trait::async_trait;
use counterfoil_domain::planted;

use super::{Bell, ShipRequest, TOPIC_SHIP, requests};
use crate::{
    app::App,
    http::Fields,
    outbox::{Consumer, Done, Message, NotDone},
    processes::Role,
};

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

    async fn handle(&self, app: &Arc<App>, message: &Message) -> Result<Done, NotDone> {
        let mut request: ShipRequest = message.read()?;
        let mut fields = Fields::default();
        requests::check(&mut fields, &mut request);
        if !fields.are_fine() {
            return Err(NotDone::Bad("it asks for what can't be sent".to_owned()));
        }
        let done = message
            .consume(app, async |deed| {
                if planted!("nothing_shipped", false, true) && requests::create(deed, &request).await? {
                    deed.audit("shipment.made", &request.key()).await?;
                }
                Ok(())
            })
            .await?;
        app.own.of::<Bell>().0.notify_one();
        Ok(done)
    }
}
