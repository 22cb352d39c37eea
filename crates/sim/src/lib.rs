//! The simulator: retry policies against scripted recipients, in virtual time, from one seed.
//!
//! Runs the server's own decision (`admit`, `settle`, `refer`): whatever happens here would happen there. Holds no clock,
//! randomness, socket, file, thread or `async fn`; the same scenario gives the same run, byte for byte. Parsing the file's
//! TOML is the caller's; [`ScenarioFile`] is the shape it is parsed into.

mod answer;
mod calendar_file;
mod chart;
mod file;
mod guard_table;
mod guarded;
mod legs;
mod protected_file;
mod quantity;
mod recipient_file;
mod report;
mod report_file;
mod retry_table;
mod route_file;
mod run;
mod scenario;
mod script;
mod series;
mod table;
mod tally;
mod timeline;

pub use answer::{BadAnswer, Scripted};
pub use calendar_file::CalendarFile;
pub use chart::chart_svg;
pub use file::{
    CompareFile, LevelsFile, LimitsFile, PhaseFile, RecipientFile, ScenarioFile, SettingsFile, TrafficFile,
};
pub use guard_table::{CapacityFile, GuardFile};
pub use legs::{ENDPOINTS_MAX, FALLBACKS_MAX, Leg, LegBalance, Way};
pub use quantity::{BadQuantity, Rate, parse_duration, parse_rate};
pub use report::{ByAge, PolicyReport, ProtectionReport, Quantiles, RecipientReport, Report, Told, WayReport};
pub use report_file::{
    AgeFile, PolicyReportFile, ProtectionFile, QuantilesFile, RecipientReportFile, ReportFile, SeriesFile,
    TransitionFile, WayFile,
};
pub use retry_table::{CodeOrWord, NumberOrWord, RetryFile};
pub use route_file::{BalanceFile, BalanceTable, EndpointFile, FallbackFile, RetryHoursFile, StepFile};
pub use run::{ATTEMPTS_MAX, RunStopped, run};
pub use scenario::{
    Beyond, COMPARED_MAX, Candidate, Capacity, LEADS_MAX, Protected, Protection, RECIPIENTS_MAX, Recipient, Scenario,
    ScenarioFault, TIMELINE_ENTRIES_MAX, TIMELINE_LEADS_MAX, Traffic,
};
pub use script::{ANSWERS_MAX, Asked, MIX_MAX, PHASES_MAX, Script};
pub use series::{BUCKETS_MAX, Series};
pub use timeline::{TimelineEntry, timeline};
