//! The shop's side of Counterfoil: a local copy of what head office knows, a journal of what happened at the desk,
//! and a sync that brings the two together whatever the network does.
//!
//! ```no_run
//! # async fn demo() -> Result<(), counterfoil_counter::Error> {
//! use std::sync::Arc;
//! use counterfoil_counter::{Confirmation, Counter, Input, System};
//!
//! let system = Arc::new(System::new());
//! let counter = Counter::open("data".as_ref(), system.clone(), system).await?;
//! counter.enrol("https://hq.example.com", "ABCD-EFGH", "till 1").await?;
//! let sync = counter.start_sync();
//!
//! let clerk = counter.clerks().await?.remove(0);
//! let verdict = counter.look_up(&Input::CouponCode("110024060512345678".into()), None).await?;
//! if let Some(ticket) = verdict.ticket {
//!     match counter.confirm(&ticket, clerk.id).await? {
//!         Confirmation::Done(receipt) => println!("done: {}", receipt.op_id),
//!         Confirmation::Refused(verdict) => println!("refused: {:?}", verdict.reasons),
//!     }
//! }
//! sync.stop().await;
//! # Ok(())
//! # }
//! ```

#![cfg_attr(
    test,
    allow(clippy::disallowed_methods, reason = "tests wait and spawn as they like")
)]

pub mod ambient;
mod basket;
mod codes;
mod copies;
pub mod db;
pub mod desk;
pub mod doctor;
pub mod enrol;
pub mod error;
mod guessing;
mod honour;
pub mod http;
mod identity;
mod inner;
mod intake;
mod journal;
pub mod key;
mod line;
mod members;
mod overlay;
pub mod people;
mod pickups;
mod points;
mod products;
mod queue;
mod replica;
mod sales;
mod salvage;
mod session;
mod status;
mod steady;
pub mod sync;
#[cfg(test)]
mod testing;
mod tickets;
pub mod transport;

use std::{path::Path, sync::Arc, time::Duration};

pub use ambient::{Clock, Random, System};
pub use basket::{
    Basket, BasketLine, Opened, Payment, Quote, QuoteReason, QuotedCoupon, QuotedLine, QuotedPoints, RefusedCoupon,
    SaleRefusal, Selection, Settled, Share, Tender,
};
pub use codes::Code;
use counterfoil_domain::{
    ids::{ClerkId, MemberId, OperationId},
    products::{Meant, Product},
};
pub use db::{Crash, Faults};
pub use desk::{Confirmation, Decision, DeskAction, Explained, Input, Thing, Verdict};
pub use doctor::{Check, doctor};
pub use error::{Error, Result};
pub use guessing::{BlockedClerk, Guessing};
pub use honour::{Delivery, Receipt};
pub(crate) use inner::Inner;
pub use inner::{Counter, Parts};
pub use journal::{Place, Title};
pub use line::{Link, LinkState};
pub use members::{CardCoupon, CardState, MemberAnswer, MemberCard, PaidIn};
pub use points::{AccountCard, OpenLot};
pub use queue::{QueueCounts, QueueEntry, QueueState};
pub use sales::{Language, ReturnPreview, ReturnedLine, SaleAccount, SaleCoupon, SaleDetail, SaleEntry, SoldLine};
pub use salvage::{Salvaged, salvage};
pub use session::Person;
pub use status::{LimitsUsage, Status};
pub use sync::driver::{Report, SyncHandle, Turn};
use tokio::sync::watch;

impl Counter {
    /// Opens the counter in this data folder, and makes the folder when there is none.
    ///
    /// # Errors
    /// `database_read_only`, `database_corrupt` (see [`salvage`]), `database_newer`, `database_settings`, `disk_full`.
    pub async fn open(folder: &Path, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Result<Self> {
        Self::open_with(folder, Parts::new(clock, random)?).await
    }

    /// The same over another line, or with faults: for a simulator.
    ///
    /// # Errors
    /// As [`Counter::open`].
    pub async fn open_with(folder: &Path, parts: Parts) -> Result<Self> {
        Ok(Self(Arc::new(Inner::open_with(folder, parts).await?)))
    }

    /// Ends this counter: cuts off what goes on in the background and closes the database. With other handles left, the
    /// last one that is dropped closes it.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn end(self) -> Result<()> {
        self.0.cut_off().await;
        match Arc::into_inner(self.0) {
            Some(inner) => inner.db.close().await,
            None => Ok(()),
        }
    }

    /// From now on the database can't grow beyond what it is, or it can again.
    ///
    /// # Errors
    /// Those of the database.
    #[cfg(feature = "testing")]
    pub async fn fill_the_disk(&self, full: bool) -> Result<()> {
        self.0.db.fill_the_disk(full).await
    }

    /// How much goes on in the background.
    pub fn tasks(&self) -> usize {
        self.0.tasks()
    }

    /// One exchange with head office, if one is due: for whoever drives the sync step by step.
    ///
    /// # Errors
    /// `not_enrolled`, and those of the database.
    pub async fn sync_turn(&self) -> Result<Turn> {
        sync::driver::turn(&self.0).await
    }

    /// Everything worth showing about this counter. Cheap.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn status(&self) -> Result<Status> {
        status::status(&self.0).await
    }

    /// Ticks whenever something that [`Counter::status`] or [`Counter::queue`] shows has changed.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes()
    }

    /// What was done alone, and how much may be.
    ///
    /// # Errors
    /// `not_enrolled`, and those of the database.
    pub async fn limits_usage(&self) -> Result<LimitsUsage> {
        status::limits_usage(&mut *self.0.db.read().await?, self.0.clock.now()).await
    }

    /// Enrols this counter at a head office with a one-time code; `name` is what people call the device there.
    /// After a lost answer, call it again with the same code.
    ///
    /// # Errors
    /// `address_invalid`, `already_enrolled`, `unreachable`, `timeout`, `tls_failed`, `enrol_code_invalid`,
    /// `rate_limited`.
    pub async fn enrol(&self, address: &str, code: &str, name: &str) -> Result<()> {
        enrol::enrol(&self.0, address, code, name).await
    }

    /// The people who may work at this store.
    ///
    /// # Errors
    /// `not_enrolled`, and those of the database.
    pub async fn clerks(&self) -> Result<Vec<Person>> {
        people::everybody(&self.0).await
    }

    /// Signs somebody in with their PIN.
    ///
    /// # Errors
    /// `wrong_pin`, `pin_locked`, `pin_too_short`, `not_allowed`.
    pub async fn sign_in(&self, clerk: ClerkId, pin: &str) -> Result<Person> {
        people::sign_in(&self.0, clerk, pin).await
    }

    /// Signs out.
    pub fn sign_out(&self) {
        self.0.session.set(None, self.0.clock.monotonic());
        self.0.changed();
    }

    /// Who is signed in, unless they have been away too long. `touch` = somebody just did something.
    pub fn signed_in(&self, touch: bool) -> Option<Person> {
        self.0.session.current(self.0.clock.monotonic(), touch)
    }

    /// How long somebody may be away before the counter locks; 10 minutes by default.
    pub fn set_auto_lock(&self, after: Duration) {
        self.0.session.set_auto_lock(after);
    }

    /// What is this, and may it be honoured? `presented_by` is the member who stands there, when that is known.
    /// Writes nothing.
    ///
    /// # Errors
    /// `not_enrolled`, `device_revoked`, and those of the database. A line that is down is no error: the verdict says.
    pub async fn look_up(&self, scanned: &Input, presented_by: Option<MemberId>) -> Result<Verdict> {
        desk::look_up(&self.0, scanned, presented_by).await
    }

    /// Confirms exactly what the ticket showed. When this says done, it is on the disk. Confirming the same ticket
    /// again gives the same receipt.
    ///
    /// # Errors
    /// `ticket_stale`, `not_allowed`, `device_revoked`, `device_frozen`, `disk_full`; then nothing was written.
    pub async fn confirm(&self, ticket: &str, clerk: ClerkId) -> Result<Confirmation> {
        desk::confirm(&self.0, ticket, clerk).await
    }

    /// Undoes a redemption or hand-over made on this counter, with a manager's PIN and a reason.
    ///
    /// # Errors
    /// `reason_missing`, `not_allowed`, `operation_not_voidable`, and those of [`Counter::sign_in`].
    pub async fn void(&self, operation: OperationId, reason: &str, manager: ClerkId, pin: &str) -> Result<Receipt> {
        desk::void(&self.0, operation, reason, manager, pin).await
    }

    /// A manager lets pass the unknown codes that a clerk tried (`None` = everybody at this device), and ends that
    /// clerk's PIN lock.
    ///
    /// # Errors
    /// `not_allowed`, and those of [`Counter::sign_in`].
    pub async fn lift_guessing(&self, clerk: Option<ClerkId>, manager: ClerkId, pin: &str) -> Result<()> {
        guessing::lift(&self.0, clerk, manager, pin).await
    }

    /// Products that are sold and that what was typed fits: words of a name in either language, a sku, a barcode. The
    /// best first, at most `limit` (200).
    ///
    /// # Errors
    /// Those of the database.
    pub async fn find_products(&self, text: &str, limit: usize) -> Result<Vec<Product>> {
        products::find(&mut *self.0.db.read().await?, text, limit).await
    }

    /// Which product a text names: a barcode before an exact sku, that before one that differs by case and the like.
    /// Several when it does not say which. Also one that is no longer listed.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn product_named(&self, text: &str) -> Result<Option<Meant>> {
        products::named(&mut *self.0.db.read().await?, text).await
    }

    /// A page of the journal, newest first: of one state or all, older than `before`, at most `limit` (500).
    ///
    /// # Errors
    /// Those of the database.
    pub async fn queue(&self, state: Option<QueueState>, before: Option<Place>, limit: i64) -> Result<Vec<QueueEntry>> {
        queue::page(&mut *self.0.db.read().await?, state, before, limit).await
    }

    /// Starts to deliver and to pull, until the handle is stopped or dropped. While another process does so in this
    /// folder, it only watches. Before the counter is enrolled it waits.
    pub fn start_sync(&self) -> SyncHandle {
        sync::driver::start(Arc::clone(&self.0))
    }

    /// Tries at once, whatever the sync is waiting for.
    pub fn hurry(&self) {
        self.0.hurry.notify_one();
    }

    /// Delivers and pulls until nothing is left or nothing more can be done. Waits at most `patience` for a head
    /// office that is busy.
    ///
    /// # Errors
    /// `not_enrolled`, `data_dir_locked`, and those of the database. An unreachable head office is in the report.
    pub async fn sync_once(&self, patience: Duration) -> Result<Report> {
        sync::driver::once(&self.0, patience).await
    }
}
