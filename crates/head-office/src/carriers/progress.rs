//! How far a parcel is, in the words that every carrier's are brought to.

use counterfoil_domain::time::Millis;
use serde::{Deserialize, Serialize};

/// Most events of a waybill that are kept, the latest.
pub const EVENTS: usize = 200;
/// Longest text of an event.
const CHARACTERS: usize = 500;

/// How far a parcel is. The words never change: they are stored.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::EnumString,
    strum::VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Progress {
    /// On its way.
    InTransit,
    /// The carrier has it.
    Collected,
    /// Something is wrong; it may go on all the same.
    Problem,
    /// Delivered. It may still come back.
    Signed,
    /// It came back and was signed for by who sent it.
    ReturnedSigned,
    /// The waybill was cancelled.
    Cancelled,
    /// Being delivered today.
    Delivering,
    /// On its way back.
    Returning,
    /// Given to another carrier.
    Forwarded,
    /// At the customs.
    Customs,
    /// The recipient refused it; it may come back, or be delivered after all.
    Refused,
    /// The carrier says something that nobody here knows.
    Unknown,
}

impl Progress {
    /// Reads the state of Kuaidi100: a number of one or two digits, or three digits whose first is the state.
    pub fn of_kuaidi100(state: &str) -> Self {
        match state {
            "401" => Self::Cancelled,
            "0" => Self::InTransit,
            "1" => Self::Collected,
            "2" => Self::Problem,
            "3" => Self::Signed,
            "4" => Self::ReturnedSigned,
            "5" => Self::Delivering,
            "6" => Self::Returning,
            "7" => Self::Forwarded,
            "10" | "11" | "12" | "13" => Self::Customs,
            "14" => Self::Refused,
            longer => match (longer.len(), longer.get(..1)) {
                (3, Some(first)) if longer.bytes().all(|byte| byte.is_ascii_digit()) => Self::of_kuaidi100(first),
                (4, _) => longer.get(..2).map_or(Self::Unknown, Self::of_kuaidi100),
                _ => Self::Unknown,
            },
        }
    }

    /// Whether nothing more comes, however long one waits. What was signed for may still come back.
    pub fn is_final(self) -> bool {
        matches!(self, Self::ReturnedSigned | Self::Cancelled)
    }
}

/// Something that happened to a parcel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When, UTC ms.
    pub at: Millis,
    /// What, in the carrier's words.
    pub text: String,
}

/// What a carrier tells of a waybill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// How far it is.
    pub progress: Progress,
    /// What happened, the earliest first.
    pub events: Vec<Event>,
}

impl Report {
    /// In order, cut to what is kept, and without what no database text holds.
    pub fn new(progress: Progress, mut events: Vec<Event>) -> Self {
        events.sort_by_key(|event| event.at);
        let surplus = events.len().saturating_sub(EVENTS);
        events.drain(..surplus);
        for event in &mut events {
            event.text = event
                .text
                .chars()
                .filter(|letter| !letter.is_control())
                .take(CHARACTERS)
                .collect();
        }
        Self { progress, events }
    }

    /// When the latest thing happened.
    pub fn newest(&self) -> Option<Millis> {
        self.events.last().map(|event| event.at)
    }
}

#[cfg(test)]
mod tests {
    use counterfoil_domain::words::Word;
    use strum::VariantArray;

    use super::*;

    #[test]
    fn every_state_has_its_word() {
        for (state, progress) in [
            ("0", Progress::InTransit),
            ("1", Progress::Collected),
            ("2", Progress::Problem),
            ("3", Progress::Signed),
            ("301", Progress::Signed),
            ("4", Progress::ReturnedSigned),
            ("401", Progress::Cancelled),
            ("5", Progress::Delivering),
            ("501", Progress::Delivering),
            ("6", Progress::Returning),
            ("7", Progress::Forwarded),
            ("10", Progress::Customs),
            ("13", Progress::Customs),
            ("14", Progress::Refused),
            ("8", Progress::Unknown),
            ("15", Progress::Unknown),
            ("", Progress::Unknown),
            ("x01", Progress::Unknown),
            ("豆", Progress::Unknown),
        ] {
            assert_eq!(Progress::of_kuaidi100(state), progress, "{state}");
        }
        let finals: Vec<_> = Progress::VARIANTS.iter().filter(|one| one.is_final()).collect();
        assert_eq!(finals, [&Progress::ReturnedSigned, &Progress::Cancelled]);
        for progress in Progress::VARIANTS {
            assert_eq!(Progress::parse(progress.as_str()), Some(*progress));
        }
    }

    #[test]
    fn a_report_is_in_order_and_bounded() {
        let events = (0..300)
            .rev()
            .map(|at| Event {
                at,
                text: "到\u{0}".repeat(600),
            })
            .collect();
        let report = Report::new(Progress::InTransit, events);
        assert_eq!((report.events.len(), report.newest()), (EVENTS, Some(299)));
        assert_eq!(report.events[0].at, 100);
        assert_eq!(report.events[0].text, "到".repeat(500));
    }
}
