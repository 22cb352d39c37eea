//! What a configuration says that works, but hardly as meant.

use crate::address::Address;
use crate::answers::{self, About};
use crate::compile::{StepScope, recipient_place};
use crate::look_up::ReadBy;
use crate::place::{Place, Warning};
use crate::plan::{Book, StepPlan};
use crate::request_settings::{Auth, Format, RequestSettings};
use crate::settings::{RecipientSettings, Settings, StepSettings};
use http::Method;
use std::collections::HashSet;
use std::time::Duration;
use steadfast_retry::policy::{Key, RetryPolicy, show_duration};
use steadfast_retry::{InDoubt, window};

impl Settings {
    /// What is worth a second look in a configuration that compiled to `book`, each thing once.
    pub fn warnings(&self, book: &Book) -> Vec<Warning> {
        match self.spread() {
            None => self.warnings_spread(book),
            Some(spread) => spread.warnings_home(spread.settings.warnings_spread(book)),
        }
    }

    /// Of settings without a step that sends to all of its endpoints.
    fn warnings_spread(&self, book: &Book) -> Vec<Warning> {
        let plans = self.flows.keys().filter_map(|name| Some((name, book.flows.get(name)?)));
        let steps = plans.flat_map(|(name, plan)| (0..).zip(&plan.steps).map(move |(index, step)| (name, index, step)));
        let scopes = steps.filter_map(|(name, index, step)| Some((self.step_scope(name, index)?, step)));
        let mut warnings: Vec<Warning> =
            scopes.flat_map(|((scope, recipient), step)| self.leg_warnings(&scope, recipient, step)).collect();
        let senders = book.steps_by_recipient();
        for (name, recipient) in &self.recipients {
            let steps = senders.get(name).map_or(&[][..], Vec::as_slice);
            warnings.extend(recipient.protection.warnings(&recipient_place(name), steps));
        }
        warnings.extend(self.cap_warnings());
        let steps = self.steps_without_term();
        if steps > 0 {
            let text = format!("every 2xx answer counts as sold ({steps} step(s)): what a body says is not read");
            warnings.push(Warning { place: Place::of("flows"), text });
        }
        let mut seen = HashSet::new();
        warnings.retain(|warning| seen.insert((warning.place.clone(), warning.text.clone())));
        warnings
    }

    /// What is to be said of a step, and of its fallbacks where it is not the same.
    fn leg_warnings(&self, scope: &StepScope<'_>, recipient: &RecipientSettings, plan: &StepPlan) -> Vec<Warning> {
        let mut found = step_warnings(scope, recipient, plan);
        for (number, (leg, fallback)) in (1_u8..).zip(scope.step.fallbacks.iter().zip(&plan.fallbacks)) {
            let laid = leg.laid_over(scope.step);
            let Some(recipient) = self.recipients.get(&laid.recipient) else { continue };
            let mut more = step_warnings(&scope.fallback(number, leg, &laid), recipient, fallback);
            more.retain(|warning| found.iter().all(|told| told.text != warning.text));
            found.extend(more);
        }
        found
    }

    /// Steps whose answers no term decides.
    fn steps_without_term(&self) -> usize {
        let steps = self.flows.values().flat_map(|flow| &flow.steps);
        let blind = |step: &&StepSettings| {
            let theirs = self.recipients.get(&step.recipient).is_some_and(|recipient| recipient.response.has_term());
            !theirs && !step.response.has_term()
        };
        steps.filter(blind).count()
    }
}

fn step_warnings(scope: &StepScope<'_>, recipient: &RecipientSettings, plan: &StepPlan) -> Vec<Warning> {
    let request = scope.step.request.over(&recipient.request);
    let auth = scope.step.auth.as_ref().or(recipient.auth.as_ref());
    [
        schedule_warning(scope, recipient, &plan.retry.policy),
        doubt_warning(scope, plan),
        format_warning(&scope.place, &request),
        credentials_warning(&scope.place, &request, auth),
    ]
    .into_iter()
    .flatten()
    .chain(answers::warnings(&scope.place, &scope.step.response.over(&recipient.response), About::Lead))
    .chain(look_up_warnings(scope, recipient, plan))
    .collect()
}

fn look_up_warnings(scope: &StepScope<'_>, recipient: &RecipientSettings, plan: &StepPlan) -> Vec<Warning> {
    let Some(look_up) = &plan.look_up else { return Vec::new() };
    let place = scope.place.key("verify");
    let mut found = answers::warnings(&place, &scope.doubt(recipient).look_up.response, About::LookUp);
    if !look_up.read_by.contains(&ReadBy::Response) {
        let text =
            "every 2xx answer to a look-up counts as found, and the lead as delivered: what a body says is not read"
                .to_owned();
        found.push(Warning { place, text });
    }
    found
}

/// Warns of retries that cannot start before the total timeout, even when every attempt fails at once and none is late.
fn schedule_warning(scope: &StepScope<'_>, recipient: &RecipientSettings, policy: &RetryPolicy) -> Option<Warning> {
    let total = policy.total_timeout.get();
    let (needed, fitting) = earliest(policy);
    if needed <= total {
        return None;
    }
    let chain = scope.chain(recipient);
    let nearest = chain.place_of(Key::TotalTimeout).or_else(|| chain.place_of(Key::MaxRetries));
    let text = format!(
        "{} retries need at least {}, total_timeout is {}: at most {fitting} of them will start",
        policy.retries_allowed(),
        show_duration(needed),
        show_duration(total),
    );
    Some(Warning { place: nearest.unwrap_or_else(|| scope.place.clone()), text })
}

/// The sum of the earliest delays, and how many of the retries can start within the total timeout.
fn earliest(policy: &RetryPolicy) -> (Duration, u32) {
    let mut fitting = 0;
    let mut sum = Duration::ZERO;
    for retry in 0..policy.retries_allowed() {
        sum = sum.saturating_add(window(policy, retry).earliest);
        fitting += u32::from(sum <= policy.total_timeout.get());
    }
    (sum, fitting)
}

fn doubt_warning(scope: &StepScope<'_>, plan: &StepPlan) -> Option<Warning> {
    let total = plan.retry.policy.total_timeout.get();
    match plan.in_doubt {
        InDoubt::Retry { floor } if floor > total && plan.retry.policy.retries_allowed() > 0 => {
            let (floor, total) = (show_duration(floor), show_duration(total));
            let text = format!(
                "in_doubt_delay = {floor} is longer than total_timeout = {total}: what is in doubt is never retried"
            );
            Some(Warning { place: scope.place.clone(), text })
        }
        InDoubt::Retry { .. } | InDoubt::Verify { .. } | InDoubt::Hold | InDoubt::AssumeDelivered => None,
    }
}

fn format_warning(place: &Place, request: &RequestSettings) -> Option<Warning> {
    let method = request.effective_method();
    let format = request.format.filter(|format| *format != Format::Query)?;
    let text = format!("{method} carries no body: the fields go into the query, not as {}", format.name());
    (method == Method::GET || method == Method::DELETE).then(|| Warning { place: place.clone(), text })
}

fn credentials_warning(place: &Place, request: &RequestSettings, auth: Option<&Auth>) -> Option<Warning> {
    let token_url = match auth? {
        Auth::Token(token) => Some(&token.url),
        Auth::Basic { .. } | Auth::Bearer { .. } | Auth::ApiKey { .. } => None,
        // The secret itself does not go out.
        Auth::Signature { .. } => return None,
    };
    let near = |address: &Address| matches!(address.host(), "localhost" | "127.0.0.1" | "[::1]");
    let mut addresses = request.url.iter().chain(token_url);
    if addresses.all(|address| address.is_secure() || near(address)) {
        return None;
    }
    let text = "credentials go to an http:// address, where anyone on the way can read them".to_owned();
    Some(Warning { place: place.clone(), text })
}
