//! What an operator configured: settings laid out by level, and from them a plan per step that can be followed without
//! looking anything up.
//!
//! Pure. Reads no file, clock or environment: the text is parsed, and secrets are fetched, by the server.

mod address;
mod adjust;
mod amount;
mod answers;
mod balance;
mod body;
mod calendars;
mod callback;
mod caps;
mod changed;
mod compile;
mod condition;
mod contact_hours;
mod contact_zones;
mod credentials;
mod declared;
mod duplicates;
mod erasure;
mod explain;
mod in_doubt;
mod layers;
mod legs;
mod look_up;
mod lookups;
mod mapping;
mod normal;
mod parallel;
mod person;
mod place;
mod plan;
mod protection;
mod recipe;
mod region;
mod request;
mod request_settings;
mod retention;
mod retry_hours;
mod returns;
mod sale;
mod secret;
mod settings;
mod signature;
mod source;
mod template;
mod test_leads;
mod token_request;
mod token_settings;
mod told;
mod warnings;

pub use address::{ADDRESS_BYTES_MAX, Address, BadAddress};
pub use adjust::{ADJUSTMENTS_MAX, AdjustSettings, Adjustment, InForce, StepConditions, TermsSettings};
pub use amount::Amount;
pub use balance::{
    BalancePlan, BalanceSettings, CANDIDATES_MAX, CATCH_UP_THOUSANDTHS, CandidatePlan, CandidateSettings,
    EXPLORE_PERCENT, TAGS_MAX, WEIGHT,
};
pub use body::{BODY_DEPTH_MAX, BODY_ENTRIES_MAX, BODY_INDEX_MAX, BodyEntry, BodySettings, Segment, SoapVersion};
pub use calendars::{CalendarSettings, CalledWhen, MaintenanceSettings, NOTE_BYTES_MAX};
pub use callback::{CALLBACK_NAME_BYTES_MAX, CallbackSettings, CallbackWhen, callback_fields, callback_flow};
pub use caps::{CapBook, CapSettings, CapsSettings, is_bound_by};
pub use changed::Changed;
pub use compile::{LIMIT_RETRIES, NAMES_MAX, STEPS_MAX};
pub use condition::{
    BadCondition, CONDITION_BYTES_MAX, CONDITION_NESTING_MAX, CONDITION_PARTS_MAX, CONDITION_SIGNS_MAX, CalendarByName,
    Condition, ConditionFailed, Facts, Ground, Moment,
};
pub use contact_hours::{Contact as ContactTime, ContactHours, ContactHoursSettings, UnknownZone};
pub use contact_zones::{BadZones, ContactZones};
pub use declared::{ALIASES_MAX, FIELDS_MAX};
pub use duplicates::{DuplicateAction, DuplicateGuard, DuplicateOn, DuplicateSettings, GUARD_FIELDS_MAX, GUARD_WINDOW};
pub use erasure::{ErasureRules, OnReturn, REFUSE_FOR_DEFAULT, REFUSE_FOR_MAX};
pub use explain::{
    Explained, ExplainedAdjustment, ExplainedBalance, ExplainedCalendar, ExplainedCandidate, ExplainedLookUp,
    ExplainedValue, Fits, PlannedRetry,
};
pub use in_doubt::IN_DOUBT_DELAY;
pub use layers::EXTENDS_MAX;
pub use legs::{FALLBACKS_MAX, FollowUpSettings, LegSettings};
pub use look_up::{LOOK_UP_NAMES, LookUpPlan, LookUpSettings, ReadBy};
pub use lookups::{Lookups, ROWS_MAX, SECRETS_MAX, TABLES_MAX};
pub use mapping::{FieldSettings, FieldType};
pub use person::{CONTACTS_MAX, Contact, ContactFields, ContactKind};
pub use place::{Fault, Place, Warning};
pub use plan::{Book, FlowPlan, LegGone, RecipientPlan, StepPlan};
pub use protection::{BreakerKeys, CONCURRENCY, LONGEST_HOLD, OnOpen, PROBE_LEASE, ProtectionSettings, SLOW_CALL};
pub use recipe::BODY_BYTES_MAX;
pub use request::{Preview, RenderFailed, Rendered, Request, RequestTimeouts, URL_BYTES_MAX};
pub use request_settings::{
    Auth, CONNECT_TIMEOUT, CONNECT_TIMEOUT_DEFAULT, FIXED_FIELDS_MAX, Format, HEADERS_MAX, Header, KeyPlace, METHODS,
    RESPONSE_BYTES_MAX, RESPONSE_BYTES_MAX_DEFAULT, RequestSettings, TIMEOUT, TIMEOUT_DEFAULT, header_place,
};
pub use retention::{KEEP_MAX, KEEP_MIN, Keep, RetentionRules};
pub use retry_hours::{RETRY_HOURS_AFTER, RetryHoursSettings};
pub use returns::{RESELL_WITHIN, RETURN_WITHIN, ReturnRules, ReturnSettings};
pub use sale::{AFTER_ENDS, SaleMode, SaleOrder, SaleSettings, StepSaleSettings};
pub use secret::Secret;
pub use settings::{
    AccountSettings, FlowSettings, InDoubtMode, InDoubtSettings, RecipientSettings, Settings, StepSettings,
};
pub use signature::{SIGNING_KEY_BYTES, SIGNING_KEY_PREFIX, SigningKey, WEBHOOK_SIGNATURE};
pub use source::{
    DEDUPE_FIELDS_MAX, DEDUPE_WINDOW, REASON_BYTES_MAX, RequestWindow, SOURCE_KEYS_MAX, SOURCE_WAIT,
    SOURCE_WAIT_DEFAULT, SOURCES_MAX, SaidOutcome, SourceAnswer, SourceSettings, is_price,
};
pub use template::{TEMPLATE_BYTES_MAX, TEMPLATE_FUEL, template_filters};
pub use test_leads::TestLeads;
pub use token_request::TokenAuth;
pub use token_settings::{
    ClientAuth, CustomTokenSettings, OAuth2Settings, TOKEN_FIELDS_MAX, TOKEN_HEADER_DEFAULT, TOKEN_LIFETIME,
    TOKEN_LIFETIME_DEFAULT, TOKEN_PREFIX_DEFAULT, TOKEN_TIMEOUT, TOKEN_TIMEOUT_DEFAULT, TokenAt, TokenFormat,
    TokenGrant, TokenSettings,
};
pub use told::{Told, is_decided, is_news, price_said};
