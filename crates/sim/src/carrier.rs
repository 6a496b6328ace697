//! The carrier of the simulated world: it outlives head office, and can fail in the ways of the sandbox carrier. Here it
//! never knows a key again: whoever orders twice has two waybills.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use counterfoil_domain::time::{MINUTE, Millis};
use counterfoil_head_office::carriers::{Carrier, CarrierError, Consignment, Report, Tracked, sandbox::Fault};

use crate::ambient::{Time, locked};

/// What hangs is done within this time or never: nobody keeps a connection open for longer.
const PATIENT: Millis = 10 * MINUTE;
/// Faults that wait for a question, at most.
const FAULTS: usize = 4;

/// A waybill that the carrier has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ordered {
    pub number: String,
    pub cancelled: bool,
}

#[derive(Debug, Default)]
struct Book {
    /// By whoever's own key.
    waybills: BTreeMap<String, Vec<Ordered>>,
    made: u64,
    /// Orders that nobody hears of again, and that are done all the same: since when.
    hanging: Vec<(String, Millis)>,
    faults: VecDeque<Fault>,
}

impl Book {
    fn make(&mut self, key: &str) -> String {
        self.made += 1;
        let number = format!("SC{:06}", self.made);
        self.waybills.entry(key.to_owned()).or_default().push(Ordered {
            number: number.clone(),
            cancelled: false,
        });
        number
    }

    fn live(&self, key: &str) -> Vec<String> {
        let of = self.waybills.get(key).into_iter().flatten();
        of.filter(|one| !one.cancelled).map(|one| one.number.clone()).collect()
    }
}

/// The carrier.
#[derive(Debug, Clone)]
pub struct SimCarrier {
    book: Arc<Mutex<Book>>,
    time: Time,
}

impl SimCarrier {
    /// In this world's time.
    pub fn new(time: Time) -> Self {
        Self {
            book: Arc::default(),
            time,
        }
    }

    /// The next question goes wrong like this.
    pub fn plan(&self, fault: Fault) {
        let mut book = locked(&self.book);
        if book.faults.len() < FAULTS {
            book.faults.push_back(fault);
        }
    }

    /// Nothing more goes wrong.
    pub fn heal(&self) {
        locked(&self.book).faults.clear();
    }

    /// What hangs is done.
    pub fn release(&self) -> usize {
        let mut book = locked(&self.book);
        let now = self.time.now();
        let mut hanging = std::mem::take(&mut book.hanging);
        hanging.retain(|(_, since)| now - since < PATIENT);
        for (key, _) in &hanging {
            book.make(key);
        }
        hanging.len()
    }

    /// Every waybill, by the key that it was ordered under.
    pub fn waybills(&self) -> BTreeMap<String, Vec<Ordered>> {
        locked(&self.book).waybills.clone()
    }

    fn next(&self) -> Option<Fault> {
        locked(&self.book).faults.pop_front()
    }
}

/// Nothing was done.
fn failed(fault: Fault) -> Option<CarrierError> {
    match fault {
        Fault::Fail => Some(CarrierError::Unclear("a status of 500")),
        Fault::Html => Some(CarrierError::Unclear("a page")),
        Fault::Refuse => Some(CarrierError::Refused("no".into())),
        Fault::Hang | Fault::Twice | Fault::Lose | Fault::Slow => None,
    }
}

#[async_trait]
impl Carrier for SimCarrier {
    async fn order(&self, key: &str, _: &Consignment) -> Result<String, CarrierError> {
        let fault = self.next();
        if let Some(error) = fault.and_then(failed) {
            return Err(error);
        }
        if fault == Some(Fault::Hang) {
            let since = self.time.now();
            locked(&self.book).hanging.push((key.to_owned(), since));
            return std::future::pending().await;
        }
        let mut book = locked(&self.book);
        if fault == Some(Fault::Twice) {
            book.make(key);
        }
        let number = book.make(key);
        match fault {
            Some(Fault::Lose) => Err(CarrierError::Unclear("the answer is lost")),
            _ => Ok(number),
        }
    }

    async fn find(&self, key: &str) -> Result<Vec<String>, CarrierError> {
        let fault = self.next();
        if let Some(error) = fault.and_then(failed) {
            return Err(error);
        }
        match fault {
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::Lose) => Err(CarrierError::Unclear("the answer is lost")),
            _ => Ok(locked(&self.book).live(key)),
        }
    }

    async fn cancel(&self, number: &str) -> Result<(), CarrierError> {
        let fault = self.next();
        // It cancels whatever it has: parcels are never handed over to it here.
        let error = fault.filter(|fault| *fault != Fault::Refuse).and_then(failed);
        if let Some(error) = error {
            return Err(error);
        }
        if fault == Some(Fault::Hang) {
            return std::future::pending().await;
        }
        let mut book = locked(&self.book);
        for one in book.waybills.values_mut().flatten() {
            if one.number == number {
                one.cancelled = true;
            }
        }
        match fault {
            Some(Fault::Lose) => Err(CarrierError::Unclear("the answer is lost")),
            _ => Ok(()),
        }
    }

    async fn track(&self, _: &Tracked) -> Result<Report, CarrierError> {
        Err(CarrierError::NotOffered)
    }
}
