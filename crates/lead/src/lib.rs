//! What came in: ids, timestamps, names, values and the lead itself.
//!
//! Pure ground for every other crate. Never reads a clock, draws a random number or touches a file: an id is made from a time
//! and a number it is given.

mod csv;
mod id;
mod json;
mod lead;
mod lines;
mod name;
mod timestamp;
mod value;

pub use csv::{
    CsvFault, CsvHeader, CsvRead, CsvReader, CsvRecord, CsvSettings, HeaderRefusal, RowRefusal,
    read_map as read_csv_map,
};
pub use id::{DeliveryId, IdSequence, LeadId, NodeNumber, UnreadableId};
pub use json::{JsonLimits, JsonRefusal, parse_object, write_object, write_value};
pub use lead::{Lead, Priority};
pub use lines::{LineRead, LineReader};
pub use name::{
    AccountName, BUILT_IN_PREFIX, BadName, CalendarName, CandidateName, FlowName, PolicyName, RecipientName,
    SourceName, StepName,
};
pub use timestamp::Timestamp;
pub use value::{Fields, Number, Value};
