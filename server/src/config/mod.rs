//! The config file: read whole, every problem found at once, credentials fetched and never shown.
//!
//! The only place that turns text into settings. Whether a value is in range, and what the levels make together, is decided
//! by the pure crates; here it is brought back to the line it came from.

#[cfg(test)]
mod answer_table_tests;
mod auth_keys;
mod auth_section;
mod balance_keys;
mod balance_section;
#[cfg(test)]
mod balance_tests;
mod body_section;
mod calendar_keys;
mod calendar_section;
#[cfg(test)]
mod calendar_tests;
mod cap_keys;
mod cap_section;
#[cfg(test)]
mod cap_tests;
mod condition_keys;
mod condition_section;
#[cfg(test)]
mod condition_tests;
#[cfg(test)]
mod example_tests;
mod field_keys;
mod forgetting_keys;
mod forgetting_section;
mod keys;
mod literals;
#[cfg(test)]
mod mapping_tests;
mod page;
mod problem;
mod protection_keys;
mod protection_section;
#[cfg(test)]
mod protection_tests;
pub(crate) mod references;
mod request_keys;
mod request_section;
mod response_keys;
mod response_section;
#[cfg(test)]
mod response_tests;
mod retention_keys;
mod retention_section;
#[cfg(test)]
mod retention_tests;
mod retry_keys;
mod retry_section;
mod route_keys;
mod route_section;
#[cfg(test)]
mod route_tests;
mod sale_keys;
mod sale_section;
#[cfg(test)]
mod sale_tests;
mod server_section;
mod source_keys;
mod source_section;
mod spans;
#[cfg(test)]
mod tests;
mod trade_sections;
mod tree;
mod verify_keys;

pub(crate) use page::reference_page;
pub(crate) use problem::{Problem, Problems};
pub(crate) use server_section::{ApiKey, PrivateNetworks, Scope, ServerSettings};

use references::{SECRET_FILE_BYTES_MAX, Surroundings};
use spans::{Spans, problem_of};
use std::collections::HashSet;
use std::fmt;
use std::io::Read;
use std::path::Path;
use steadfast_engine::{Clock as _, SystemClock};
use steadfast_flow::{Book, Fault, Place, Settings, Warning};
use steadfast_lead::RecipientName;
use steadfast_retry::Reading as Answers;
use steadfast_retry::pace::ConcurrencyLimit;
use toml::de::DeTable;
use tree::Reader;

/// How large a config file may be, in bytes.
pub(crate) const CONFIG_BYTES_MAX: usize = 1_048_576;

/// A config without a problem.
#[derive(Clone)]
pub(crate) struct Loaded {
    /// Accounts, recipients, flows and policies.
    pub(crate) settings: Settings,
    /// The same, resolved; its version is 0 until [`Loaded::into_book`].
    pub(crate) book: Book,
    /// What belongs to this process.
    pub(crate) server: ServerSettings,
    /// The text as read; may hold credentials.
    pub(crate) text: String,
    /// What is worth a second look.
    pub(crate) warnings: Problems,
}

impl Loaded {
    /// The book under a version.
    pub(crate) fn into_book(self, version: u64) -> Book {
        Book { version, ..self.book }
    }
}

impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loaded")
            .field("settings", &self.settings)
            .field("server", &self.server)
            .field("warnings", &self.warnings)
            .finish_non_exhaustive()
    }
}

/// Reads a config file.
///
/// # Errors
/// Every problem found: a file that cannot be read, a text that is not TOML, unknown keys, wrong types and values, missing
/// variables and files, and what the levels make together.
pub(crate) fn load(path: &Path) -> Result<Loaded, Problems> {
    let file = path.display().to_string();
    let text = bounded_text(path, CONFIG_BYTES_MAX)
        .map_err(|why| Problems::new(&file, "", &[], vec![Problem::of_file(why)]))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let secret_file = |name: &str| {
        bounded_text(&folder.join(name), SECRET_FILE_BYTES_MAX)
            .map_err(|why| format!("names the file {name:?}, which {why}"))
    };
    let variable = |name: &str| std::env::var(name).ok();
    read(&file, text, &Surroundings { variable: &variable, file: &secret_file, now: SystemClock.now() })
}

/// The content of a file; or why not, continuing "the file ...".
fn bounded_text(path: &Path, bytes_max: usize) -> Result<String, String> {
    let file = std::fs::File::open(path).map_err(|error| format!("cannot be read: {error}"))?;
    let mut bytes = Vec::new();
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit).read_to_end(&mut bytes).map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() > bytes_max {
        return Err(format!("is larger than {bytes_max} bytes"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        format!("is not UTF-8: the byte at {at} begins no character")
    })
}

/// Reads the text of a config.
pub(crate) fn read(file: &str, text: String, around: &Surroundings<'_>) -> Result<Loaded, Problems> {
    let (document, errors) = DeTable::parse_recoverable(&text);
    if !errors.is_empty() {
        // Where a line cannot be read, a credential in it cannot be told apart: nothing of it is shown.
        let everything = std::iter::once(0..text.len()).collect::<Vec<_>>();
        return Err(Problems::new(file, &text, &everything, errors.iter().map(syntax_problem).collect()));
    }
    let root_table = document.get_ref();
    let spans = Spans::of(root_table);
    let reader = Reader::new(&text, around);
    let (settings, server) = sections(&reader, root_table, around);
    let (mut problems, masks) = reader.finish();
    let compiled = settings.compile(0);
    problems.extend(key_account_problems(&server, &settings, &spans));
    let compiled = compiled.and_then(|book| {
        let mut never = settings.never_open(&book, around.now);
        never.extend(settings.never_contacted(&book, around.now));
        never.extend(settings.never_retried(&book, around.now));
        if never.is_empty() { Ok(book) } else { Err(never) }
    });
    let book = match compiled {
        Ok(book) if problems.is_empty() => book,
        Ok(_) => return Err(Problems::new(file, &text, &masks, problems)),
        Err(faults) => {
            let new = untold(&faults, &problems, &settings);
            let new: Vec<Problem> = new.into_iter().map(|fault| problem_of(fault, &spans, &text)).collect();
            problems.extend(new);
            return Err(Problems::new(file, &text, &masks, problems));
        }
    };
    let warned = settings
        .warnings(&book)
        .into_iter()
        .chain(settings.calendar_warnings(&book, around.now))
        .chain(unreached_concurrency(&server, &book));
    let warnings = warned.map(|warning| warning_problem(&warning, &spans)).collect();
    let warnings = Problems::new(file, &text, &masks, warnings);
    Ok(Loaded { settings, book, server, warnings, text })
}

/// Reads a file of rules: a `[response]` table and `[[rules]]`, as in a step.
///
/// # Errors
/// As [`load`].
pub(crate) fn load_rules(path: &Path) -> Result<Answers, Problems> {
    let file = path.display().to_string();
    let text = bounded_text(path, CONFIG_BYTES_MAX)
        .map_err(|why| Problems::new(&file, "", &[], vec![Problem::of_file(why)]))?;
    let variable = |name: &str| std::env::var(name).ok();
    let no_file = |_: &str| Err("names a file, which rules have no use for".to_owned());
    read_rules(&file, &text, &Surroundings { variable: &variable, file: &no_file, now: SystemClock.now() })
}

fn read_rules(file: &str, text: &str, around: &Surroundings<'_>) -> Result<Answers, Problems> {
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        return Err(Problems::new(file, text, &[], errors.iter().map(syntax_problem).collect()));
    }
    let spans = Spans::of(document.get_ref());
    let reader = Reader::new(text, around);
    let (response, rules) = {
        let root = reader.root(document.get_ref(), &response_keys::RULES_FILE);
        (response_section::response(&root), response_section::rules(&root))
    };
    let (mut problems, masks) = reader.finish();
    let built = Answers::build(&response, &rules);
    let misfits = built.as_ref().err().map(Vec::as_slice).unwrap_or_default();
    let new: Vec<Fault> = misfits.iter().map(fault_of_misfit).collect();
    let is_told = |fault: &Fault| {
        problems.iter().any(|told| [fault.place.as_str(), list_of(&fault.place)].contains(&told.key.as_str()))
    };
    let new = new.iter().filter(|fault| !is_told(fault));
    let new: Vec<Problem> = new.map(|fault| problem_of(fault, &spans, text)).collect();
    problems.extend(new);
    built.ok().filter(|_| problems.is_empty()).ok_or_else(|| Problems::new(file, text, &masks, problems))
}

fn fault_of_misfit(misfit: &steadfast_retry::reading::Misfit) -> Fault {
    let (value, problem, allowed) = (misfit.value.clone(), misfit.problem.clone(), misfit.allowed.clone());
    Fault { place: Place::of(&misfit.key), value, problem, allowed }
}

/// The key of a list whose entry a place is: a value that stands alone is told there.
fn list_of(place: &Place) -> &str {
    let place = place.as_str();
    if place.ends_with(']') { place.rsplit_once('[').map_or(place, |(list, _)| list) } else { place }
}

/// The faults that do not only follow from a problem already told: a key that could not be read is not missing as well, and
/// neither is the address of a step whose recipient has a wrong one.
fn untold<'f>(faults: &'f [Fault], problems: &[Problem], settings: &Settings) -> Vec<&'f Fault> {
    let told: HashSet<&str> = problems.iter().map(|problem| &*problem.key).collect();
    let url = Place::of("request.url");
    let mut follow: HashSet<Place> = HashSet::new();
    for (name, flow) in &settings.flows {
        let list = Place::of("flows").key(name.as_str()).key("steps");
        let steps = flow.steps.iter().enumerate().filter(|(_, step)| {
            told.contains(Place::of("recipients").key(step.recipient.as_str()).join(&url).as_str())
        });
        follow.extend(steps.map(|(index, _)| list.index(index).join(&url)));
    }
    let is_told = |fault: &Fault| told.contains(fault.place.as_str()) || told.contains(list_of(&fault.place));
    faults.iter().filter(|fault| !is_told(fault) && !follow.contains(&fault.place)).collect()
}

fn sections(reader: &Reader<'_>, document: &DeTable<'_>, around: &Surroundings<'_>) -> (Settings, ServerSettings) {
    let root = reader.root(document, &keys::ROOT);
    let (retention, archive) = retention_section::retention(&root);
    let settings = Settings {
        policies: retry_section::policies(root.named("policies")),
        system: retry_section::layer(&root.section("retry", &retry_keys::RETRY)),
        adjust: condition_section::adjust(&root),
        contact_zones: condition_section::contact_zones(&root, around),
        accounts: trade_sections::accounts(root.named("accounts")),
        calendars: calendar_section::calendars(root.named("calendars")),
        recipients: trade_sections::recipients(root.named("recipients")),
        flows: trade_sections::flows(root.named("flows")),
        lookups: body_section::lookups(&root),
        erasure: forgetting_section::erasure(&root),
        retention,
    };
    let server = ServerSettings { archive, ..server_section::server(&root) };
    (settings, server)
}

fn syntax_problem(error: &toml::de::Error) -> Problem {
    let mut message = error.message().replace('\n', ", ");
    if message.contains("escape") {
        message += "; in \"...\" a backslash is written twice, as in \"/\\\\d+/\", in '...' once";
    }
    Problem { span: error.span(), ..Problem::of_file(format!("is not TOML here: {message}")) }
}

fn key_account_problems(server: &ServerSettings, settings: &Settings, spans: &Spans) -> Vec<Problem> {
    let unknown = |key: &&ApiKey| key.account.as_ref().is_some_and(|name| !settings.accounts.contains_key(name));
    let problem = |key: &ApiKey| {
        let place = Place::of("server.keys");
        let message = format!("key {} is limited to an account that is not configured", key.name);
        Problem { span: spans.nearest(&place), key: place.as_str().to_owned(), ..Problem::of_file(message) }
    };
    server.keys.iter().filter(unknown).map(problem).collect()
}

/// Attempts at once to one recipient beyond what all recipients together may have.
fn unreached_concurrency(server: &ServerSettings, book: &Book) -> Vec<Warning> {
    let most = server.concurrency;
    let beyond = book
        .recipients
        .iter()
        .filter(|(_, plan)| matches!(plan.pace.concurrency, ConcurrencyLimit::Fixed(count) if count > most));
    let warning = |name: &RecipientName| Warning {
        place: Place::of("recipients").key(name.as_str()).key("concurrency"),
        text: format!("never reached: server.concurrency is {most}"),
    };
    beyond.map(|(name, _)| warning(name)).collect()
}

fn warning_problem(warning: &Warning, spans: &Spans) -> Problem {
    let key = warning.place.as_str().to_owned();
    Problem { span: spans.nearest(&warning.place), key, ..Problem::of_file(warning.text.clone()) }
}
