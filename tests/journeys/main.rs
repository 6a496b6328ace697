//! Journeys across real processes: head office, counters, the line between them.

mod offline_and_back;
mod race;
mod restore;
mod trouble;
