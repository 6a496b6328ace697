//! What comes back from who sends goods: that a shipment failed for good.

use std::sync::Arc;

use async_trait::async_trait;
use counterfoil_domain::{
    ids::ExchangeId,
    transition::{Answer, Command, EndExchange, ExchangeEnd},
};

use crate::{
    app::App,
    db::DbError,
    fulfilment::{Outcome, Settled, ShipmentKind, TOPIC_SETTLED},
    outbox::{Consumer, Done, Message, NotDone},
    points,
    processes::Role,
};

/// The consumer.
pub const SETTLED: Settlements = Settlements;

/// Gives back what a member's exchange cost, and takes back what was not lost.
#[derive(Debug)]
pub struct Settlements;

#[async_trait]
impl Consumer for Settlements {
    fn topic(&self) -> &'static str {
        TOPIC_SETTLED
    }

    fn role(&self) -> Role {
        Role::Jobs
    }

    async fn handle(&self, app: &Arc<App>, message: &Message) -> Result<Done, NotDone> {
        let settled: Settled = message.read()?;
        if settled.kind != ShipmentKind::Exchange {
            return Ok(Done::KNOWN);
        }
        let id: ExchangeId = settled
            .source
            .parse()
            .map_err(|_| NotDone::Bad("its source is no exchange".to_owned()))?;
        let rule = {
            let mut reader = app.db.reader().acquire().await.map_err(DbError::from)?;
            let rule = points::rows::newest_rule(&mut reader, message.tenant).await?;
            rule.map(|rule| rule.version)
        };
        let command = Command::EndExchange(EndExchange {
            id,
            end: match settled.outcome {
                Outcome::Returned => ExchangeEnd::Returned,
                Outcome::Lost => ExchangeEnd::Lost,
            },
            rule,
            by: None,
            now: app.clock.now(),
        });
        message
            .submit(app, command, |answer| match answer {
                Answer::Exchanged { .. } => Ok(()),
                Answer::UnknownExchange => Err(NotDone::Bad("there is no such exchange".to_owned())),
                Answer::ExchangeEnded { status } => Err(NotDone::Bad(format!(
                    "the exchange is {}",
                    counterfoil_domain::words::Word::as_str(*status)
                ))),
                _ => Err(NotDone::Bad("the points can't be given back".to_owned())),
            })
            .await
    }
}
