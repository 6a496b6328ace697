//! Codes in pictures and camera frames: finding them, saying what they are, drawing them.
//!
//! * [`decode`] reads a PNG or JPEG and finds the symbols in it; [`find`] does the same on a grey picture.
//! * [`classify`] says what a text is (a coupon code, a pickup code, a token, ...). It is pure.
//! * [`render`] draws a text as a QR code: a crate of its own, as head office draws without reading.
//! * [`frames`] is the camera, behind a trait that stills and folders of pictures also fulfil.
//!
//! Nothing here knows the database or the network, and nothing here decides whether a code may be honoured.

mod bars;
mod classify;
mod decode;
mod format;
pub mod frames;
mod looks;
mod picture;
mod prepare;
mod read;
mod text;

pub use counterfoil_qr as render;

pub use classify::{MAX_TEXT, PickupForms, Scanned, Source, classify, classify_with, is_gtin};
pub use decode::{Effort, Symbol, decode, decode_with, find};
pub use format::Format;
pub use picture::{PictureError, PictureLimits, load};
