//! Search terms and marks of a lead: made at acceptance, and again to ask for them.

use crate::run::{Engine, Inner};
use std::collections::BTreeSet;
use steadfast_flow::{Contact, ContactKind, DuplicateGuard, FlowPlan};
use steadfast_lead::{DeliveryId, Fields, Lead, LeadId, RecipientName};
use steadfast_retry::Delivery;
use steadfast_store::{StoreError, Term};

impl Engine {
    /// Leads that hold an email address or a telephone number, newest first, made before the lead `before`, at most `limit`.
    /// `None` for a text that is neither.
    ///
    /// # Errors
    /// [`StoreError`] when the store could not be read.
    pub async fn find_person(
        &self,
        text: &str,
        before: Option<LeadId>,
        limit: usize,
    ) -> Result<Option<Vec<LeadId>>, StoreError> {
        let kind = if text.contains('@') { ContactKind::Email } else { ContactKind::Phone };
        let Some(value) = kind.normalise(text) else { return Ok(None) };
        let term = self.inner.contact_term(&Contact { kind, value });
        self.inner.store.find(term, before, limit).await.map(Some)
    }
}

impl Inner {
    pub(crate) fn contact_term(&self, contact: &Contact) -> Term {
        self.store.identity().term_key.term(contact.kind.name(), [contact.value.as_str()])
    }

    /// What a lead is found by.
    pub(crate) fn terms_of(&self, flow: &FlowPlan, lead: &Lead) -> Vec<Term> {
        flow.contacts.contacts(&lead.fields).iter().map(|contact| self.contact_term(contact)).collect()
    }

    /// What its deliveries are found by, where a guard asks for it. Test leads are never counted.
    pub(crate) fn marks_of(&self, flow: &FlowPlan, lead: &Lead, deliveries: &[Delivery]) -> Vec<(Term, DeliveryId)> {
        if lead.test {
            return Vec::new();
        }
        let legs =
            flow.steps.iter().zip(deliveries).flat_map(|(step, delivery)| step.ways().map(move |leg| (leg, delivery)));
        let marked = legs.filter_map(|(leg, delivery)| {
            let guard = leg.duplicates.as_ref()?;
            Some((self.mark(guard, &leg.endpoint.recipient, &lead.fields)?, delivery.id))
        });
        // Legs to one recipient have one mark.
        marked.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// What is the same for every lead that a guard takes for one; `None` for a lead that is like no other.
    pub(crate) fn mark(&self, guard: &DuplicateGuard, recipient: &RecipientName, fields: &Fields) -> Option<Term> {
        let likeness = guard.likeness(recipient, fields)?;
        Some(self.store.identity().term_key.term("duplicate", likeness.iter().map(String::as_str)))
    }
}
