use std::fmt;

use serde::{Serialize, Serializer};

/// The kind of a symbol. Its name (in JSON, on the command line) is stable:
/// `QRCode` `MicroQRCode` `RMQRCode` `DataMatrix` `EAN13` `EAN8` `UPCA` `UPCE` `Code128` `Code39` `ITF`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
    QrCode,
    MicroQrCode,
    RmQrCode,
    DataMatrix,
    Ean13,
    Ean8,
    UpcA,
    UpcE,
    Code128,
    Code39,
    Itf,
}

impl Format {
    pub const ALL: [Format; 11] = [
        Format::QrCode,
        Format::MicroQrCode,
        Format::RmQrCode,
        Format::DataMatrix,
        Format::Ean13,
        Format::Ean8,
        Format::UpcA,
        Format::UpcE,
        Format::Code128,
        Format::Code39,
        Format::Itf,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Format::QrCode => "QRCode",
            Format::MicroQrCode => "MicroQRCode",
            Format::RmQrCode => "RMQRCode",
            Format::DataMatrix => "DataMatrix",
            Format::Ean13 => "EAN13",
            Format::Ean8 => "EAN8",
            Format::UpcA => "UPCA",
            Format::UpcE => "UPCE",
            Format::Code128 => "Code128",
            Format::Code39 => "Code39",
            Format::Itf => "ITF",
        }
    }

    /// The format of that name, as written by [`Format::name`].
    pub fn from_name(name: &str) -> Option<Format> {
        Format::ALL.into_iter().find(|format| format.name() == name)
    }

    /// Whether the symbol has modules in rows and columns, not bars.
    pub fn is_matrix(self) -> bool {
        matches!(
            self,
            Format::QrCode | Format::MicroQrCode | Format::RmQrCode | Format::DataMatrix
        )
    }

    /// Whether the symbol is a product's barcode rather than something this chain issued.
    pub fn is_retail(self) -> bool {
        matches!(self, Format::Ean13 | Format::Ean8 | Format::UpcA | Format::UpcE)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Format {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
