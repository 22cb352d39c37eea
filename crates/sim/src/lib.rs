//! The simulator: retry policies against scripted recipients, in virtual time, from one seed.
//!
//! Runs the server's own decision (`admit`, `settle`, `refer`): whatever happens here would happen there. Holds no clock,
//! randomness, socket, file, thread or `async fn`; the same scenario gives the same run, byte for byte. Parsing the file's
//! TOML is the caller's; [`ScenarioFile`] is the shape it is parsed into.

mod answer;
mod chart;
mod file;
mod quantity;
mod report;
mod report_file;
mod retry_table;
mod run;
mod scenario;
mod script;
mod series;
mod table;
mod tally;
mod timeline;

pub use answer::{BadAnswer, Scripted};
pub use chart::chart_svg;
pub use file::{
    CompareFile, LevelsFile, LimitsFile, PhaseFile, RecipientFile, ScenarioFile, SettingsFile, TrafficFile,
};
pub use quantity::{BadQuantity, Rate, parse_duration, parse_rate};
pub use report::{PolicyReport, Quantiles, Report};
pub use report_file::{PolicyReportFile, QuantilesFile, ReportFile, SeriesFile};
pub use retry_table::{CodeOrWord, NumberOrWord, RetryFile};
pub use run::{ATTEMPTS_MAX, RunStopped, run};
pub use scenario::{
    COMPARED_MAX, Candidate, LEADS_MAX, Scenario, ScenarioFault, TIMELINE_ENTRIES_MAX, TIMELINE_LEADS_MAX, Traffic,
};
pub use script::{ANSWERS_MAX, Asked, MIX_MAX, PHASES_MAX, Script};
pub use series::{BUCKETS_MAX, Series};
pub use timeline::{TimelineEntry, timeline};
