//! Settings as an operator wrote them, typed but not yet laid over each other.
//!
//! Holds nothing that prints a credential. What the levels make together is found by [`Settings::compile`].

use crate::adjust::{AdjustSettings, TermsSettings};
use crate::balance::{BalanceSettings, CandidateSettings};
use crate::calendars::{CalendarSettings, CalledWhen};
use crate::caps::CapsSettings;
use crate::contact_zones::ContactZones;
use crate::duplicates::DuplicateSettings;
use crate::erasure::ErasureRules;
use crate::legs::{FollowUpSettings, LegSettings};
use crate::look_up::LookUpSettings;
use crate::lookups::Lookups;
use crate::mapping::FieldSettings;
use crate::protection::ProtectionSettings;
use crate::request_settings::{Auth, RequestSettings};
use crate::retention::{Keep, RetentionRules};
use crate::returns::ReturnSettings;
use crate::sale::{SaleSettings, StepSaleSettings};
use crate::source::SourceSettings;
use crate::test_leads::TestLeads;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use steadfast_lead::{AccountName, CalendarName, FlowName, Priority, RecipientName, SourceName, StepName};
use steadfast_retry::policy::{Layer, Limits, Policies};
use steadfast_retry::reading::{ResponseSettings, RuleSettings};

/// Everything configured about accounts, recipients and flows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The operator's named policies.
    pub policies: Policies,
    /// What the system says about retrying.
    pub system: Layer,
    /// What it says is different for some leads.
    pub adjust: Vec<AdjustSettings>,
    /// The accounts.
    pub accounts: BTreeMap<AccountName, AccountSettings>,
    /// Calendars that recipients may stand on.
    pub calendars: BTreeMap<CalendarName, CalendarSettings>,
    /// The recipients.
    pub recipients: BTreeMap<RecipientName, RecipientSettings>,
    /// The flows.
    pub flows: BTreeMap<FlowName, FlowSettings>,
    /// Tables and secrets that templates may name.
    pub lookups: Arc<Lookups>,
    /// Where the clocks of leads are; needed where a step says `contact_hours`.
    pub contact_zones: Option<Arc<ContactZones>>,
    /// What happens when a person who asked for deletion comes in again.
    pub erasure: ErasureRules,
    /// How long what has ended is kept.
    pub retention: RetentionRules,
}

/// A customer of the operator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountSettings {
    /// The IANA name of its time zone, as written.
    pub time_zone: Option<Box<str>>,
    /// What it says about retrying.
    pub retry: Layer,
    /// What it says is different for some leads.
    pub adjust: Vec<AdjustSettings>,
}

/// A partner system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecipientSettings {
    /// Whose it is; `None` lets every account's flows use it.
    pub account: Option<AccountName>,
    /// How it is protected.
    pub protection: ProtectionSettings,
    /// When it may be called.
    pub called_when: CalledWhen,
    /// What it says about retrying.
    pub retry: Layer,
    /// What it says is different for some leads.
    pub adjust: Vec<AdjustSettings>,
    /// What no flow may exceed.
    pub limits: Limits,
    /// What it says about doubt.
    pub in_doubt: InDoubtSettings,
    /// What its steps start from.
    pub request: RequestSettings,
    /// How its steps say who they are, unless a step says otherwise.
    pub auth: Option<Auth>,
    /// How its steps read answers, unless a step says otherwise.
    pub response: ResponseSettings,
    /// Rules about answers, after those of its steps.
    pub rules: Vec<RuleSettings>,
    /// What keeps the same person from going to it twice, unless a step says otherwise.
    pub duplicates: Option<DuplicateSettings>,
    /// What becomes of test leads, unless a step says otherwise.
    pub test_leads: Option<TestLeads>,
    /// How long it may return leads, over what a flow says.
    pub returns: ReturnSettings,
    /// How many of its deliveries may be accepted in a period.
    pub caps: CapsSettings,
}

/// A path for leads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlowSettings {
    /// Whose it is.
    pub account: Option<AccountName>,
    /// What it says about retrying.
    pub retry: Layer,
    /// What it says about doubt.
    pub in_doubt: InDoubtSettings,
    /// How urgent its deliveries are.
    pub priority: Option<Priority>,
    /// The fields it declares; none declared sends every field.
    pub fields: Vec<FieldSettings>,
    /// Who posts into it, and what they are told.
    pub sources: BTreeMap<SourceName, SourceSettings>,
    /// What it does with a lead.
    pub steps: Vec<StepSettings>,
    /// How long its leads are kept, where it has a word of its own.
    pub retention: Option<Keep>,
    /// How its steps share a lead.
    pub sale: SaleSettings,
    /// What it says is different for some leads.
    pub adjust: Vec<AdjustSettings>,
    /// How long its leads may be returned.
    pub returns: ReturnSettings,
    /// How many of its deliveries may be accepted in a period.
    pub caps: CapsSettings,
}

/// One thing a flow does with a lead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepSettings {
    /// Its name, unique in its flow.
    pub id: StepName,
    /// Whom it sends to.
    pub recipient: RecipientName,
    /// What it says about retrying.
    pub retry: Layer,
    /// What it says about doubt.
    pub in_doubt: InDoubtSettings,
    /// How urgent its deliveries are, in place of its flow's word.
    pub priority: Option<Priority>,
    /// What it says about the request, over what its recipient says.
    pub request: RequestSettings,
    /// How it says who it is, in place of what its recipient says.
    pub auth: Option<Auth>,
    /// How it reads answers, over what its recipient says.
    pub response: ResponseSettings,
    /// Rules about answers, before those of its recipient.
    pub rules: Vec<RuleSettings>,
    /// What keeps the same person from going to its recipient twice, in place of what its recipient says.
    pub duplicates: Option<DuplicateSettings>,
    /// What becomes of test leads, in place of what its recipient says.
    pub test_leads: Option<TestLeads>,
    /// Everything is done but the send.
    pub shadow: bool,
    /// Its part in a sale, and when it begins.
    pub sale: StepSaleSettings,
    /// Which leads it sends, and what is different about some.
    pub terms: TermsSettings,
    /// Several endpoints it chooses between; none for its own alone.
    pub candidates: Vec<CandidateSettings>,
    /// How it chooses.
    pub balance: BalanceSettings,
    /// Where a delivery goes when the step's own request came to nothing, in order.
    pub fallbacks: Vec<LegSettings>,
    /// What follows the end of a leg.
    pub follow_ups: FollowUpSettings,
    /// How many of its deliveries may be accepted in a period.
    pub caps: CapsSettings,
}

/// What to do about an attempt that was sent and not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InDoubtMode {
    /// Send again on the schedule, with the same key.
    Retry,
    /// Ask the recipient first whether it has the lead.
    Verify,
    /// A person decides.
    Hold,
    /// It counts as delivered, probably.
    AssumeDelivered,
}

impl InDoubtMode {
    /// All of them.
    pub const ALL: [InDoubtMode; 4] =
        [InDoubtMode::Retry, InDoubtMode::Verify, InDoubtMode::Hold, InDoubtMode::AssumeDelivered];

    /// The word used in config.
    pub const fn name(self) -> &'static str {
        match self {
            InDoubtMode::Retry => "retry",
            InDoubtMode::Verify => "verify",
            InDoubtMode::Hold => "hold",
            InDoubtMode::AssumeDelivered => "assume_delivered",
        }
    }

    /// From the word used in config.
    pub fn from_name(name: &str) -> Option<Self> {
        InDoubtMode::ALL.into_iter().find(|known| known.name() == name)
    }
}

/// What one level says about doubt. `None` leaves a key to the levels farther out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InDoubtSettings {
    /// What to do.
    pub mode: Option<InDoubtMode>,
    /// Not before this has passed.
    pub delay: Option<Duration>,
    /// How the recipient is asked whether it has a lead, and what its answers mean.
    pub look_up: LookUpSettings,
}

impl InDoubtSettings {
    /// These settings laid over `farther`, key by key.
    #[must_use]
    pub fn over(&self, farther: &InDoubtSettings) -> InDoubtSettings {
        InDoubtSettings {
            mode: self.mode.or(farther.mode),
            delay: self.delay.or(farther.delay),
            look_up: self.look_up.over(&farther.look_up),
        }
    }
}
