//! What the screens see: the shapes that cross into TypeScript, and how they are made from the counter's. Names and
//! phone numbers of members are masked here, so that no screen can show more.

mod basket;
mod desk;
mod queue;
mod sales;
pub mod state;
mod statement;

pub use basket::{Basket, Found, MemberCard, Opened, ProductView, QuoteView, Settled, ToppedUp};
pub use desk::{Confirmation, Receipt};
pub use queue::{QueueRow, place_of, state_of};
pub use sales::{ReturnLine, ReturnPolicy, ReturnPreview, SaleRow, SaleView, Slip};
use serde::{Deserialize, Serialize};
use specta::Type;
pub use state::{AppState, ClerkView, LinkState, Mode, StateChanged, StoreView};
pub use statement::StatementView;

use crate::settings::Locale;

/// The language's one of two names.
pub fn title(title: &counterfoil_counter::Title, locale: Locale) -> String {
    match locale {
        Locale::ZhCn => title.zh.clone(),
        Locale::En => title.en.clone(),
    }
}

/// How a text came to the desk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum Source {
    Typed,
    Scanned,
    Pasted,
    Camera,
}

/// What a picture says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct PictureText {
    pub text: String,
    pub format: String,
}

/// A camera to choose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct CameraView {
    pub index: u32,
    pub name: String,
}

/// One look through the camera.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct CameraFrame {
    /// `data:image/jpeg;base64,...`; null = nothing new.
    pub preview: Option<String>,
    /// The code in it.
    pub text: Option<String>,
}

/// Somebody of the demo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct DemoClerk {
    pub name: String,
    pub pin: String,
}

/// What there is to try in the demo.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct DemoHints {
    pub clerks: Vec<DemoClerk>,
    pub coupons: Vec<String>,
    pub pickups: Vec<String>,
    pub members: Vec<String>,
    pub products: Vec<String>,
}
