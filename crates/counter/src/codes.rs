//! The words for what can go wrong at a counter. Head office's own are [`counterfoil_protocol::problem::Code`].

/// Stable, for people's sentences and for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Code {
    /// The counter has no place in a store yet.
    NotEnrolled,
    /// It has one already.
    AlreadyEnrolled,
    /// Not an address of a head office.
    AddressInvalid,
    /// Nobody who could be head office answers.
    Unreachable,
    /// Head office takes too long.
    Timeout,
    /// The certificate does not fit.
    TlsFailed,
    /// The line is known to be down.
    Offline,
    /// The device may do nothing more.
    DeviceRevoked,
    /// A person at head office decides about the device first.
    DeviceFrozen,
    /// The PIN is wrong.
    WrongPin,
    /// Too many wrong PINs.
    PinLocked,
    /// The PIN does not have the form of one.
    PinTooShort,
    /// Nobody is signed in.
    NotSignedIn,
    /// This person may not do that.
    NotAllowed,
    /// What was shown is no longer current.
    TicketStale,
    /// It can't be undone.
    OperationNotVoidable,
    /// A void needs a reason.
    ReasonMissing,
    /// Nothing of it can come back here.
    OperationNotReturnable,
    /// That can't come back.
    ReturnInvalid,
    /// Not a day.
    DayInvalid,
    /// A sale needs how it was paid and the till's number.
    ReceiptMissing,
    /// No amount of money that may be.
    AmountInvalid,
    /// Nobody here is that member.
    MemberUnknown,
    /// No product has this sku.
    ProductUnknown,
    /// The basket can't be quoted.
    BasketInvalid,
    /// The best combination of so many coupons can't be found.
    TooManyCombinations,
    /// No slip belongs to the operation.
    SlipUnavailable,
    /// No font with Chinese characters was found.
    FontMissing,
    /// Another process works in the data folder.
    DataDirLocked,
    /// The database can't be written.
    DatabaseReadOnly,
    /// The database is damaged or none.
    DatabaseCorrupt,
    /// A newer program has been here.
    DatabaseNewer,
    /// Head office tells of what this program does not understand.
    ProgramOutdated,
    /// The database does not run with the settings that durability needs.
    DatabaseSettings,
    /// No room on the disk.
    DiskFull,
    /// Somebody else holds it for too long.
    Busy,
    /// A part of the program panicked.
    Panicked,
    /// A mistake in the program, or a fault without a code of its own.
    Internal,
}

impl Code {
    /// The word.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}
