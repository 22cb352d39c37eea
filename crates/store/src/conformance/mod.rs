//! One suite that every store passes, the in-memory one included: what the engine relies on, told through the seam alone.
//!
//! A store's tests call [`conformance_suite!`](crate::conformance_suite) with something that makes a fresh [`Rig`].

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "compiled for tests only; each function is named by what it shows"
)]

pub mod caps;
pub mod erasing;
mod fixtures;
pub mod guards;
pub mod journal;
pub mod ledger;
pub mod lifetime;
pub mod lists;
pub mod protection;
pub mod queues;
pub mod retention;
pub mod settlements;

pub use fixtures::{World, recounted, settlement, walk};

use crate::Store;
use std::sync::Arc;

/// A place that holds one store's data, to be opened again and again.
pub trait Rig {
    /// Opens it. No earlier handle is left.
    fn open(&mut self) -> Arc<dyn Store>;
}

/// Closes and opens again.
pub async fn reopen_cleanly(store: Arc<dyn Store>, rig: &mut dyn Rig) -> Arc<dyn Store> {
    store.close().await.unwrap();
    drop(store);
    rig.open()
}

/// Drops without closing and opens again.
pub fn reopen_uncleanly(store: Arc<dyn Store>, rig: &mut dyn Rig) -> Arc<dyn Store> {
    drop(store);
    rig.open()
}

/// Makes one `#[tokio::test]` of every case, each with a fresh rig from the expression given.
#[macro_export]
macro_rules! conformance_suite {
    ($rig:expr) => {
        $crate::conformance_suite!(@ $rig;
            settlements: what_is_accepted_reads_back, a_settlement_is_applied_whole, a_stale_settlement_changes_nothing,
                a_lost_lease_changes_nothing, neighbours_of_a_refused_settlement_are_kept, settlements_in_one_go_keep_their_order, an_id_is_never_taken_twice,
                what_moves_with_a_settlement_is_in_its_transaction, what_has_seen_others_otherwise_changes_nothing,
                what_waits_for_another_is_in_no_queue;
            guards: a_repeated_request_is_a_replay, a_key_used_for_something_else_is_refused, a_key_is_forgotten_after_its_time,
                keys_belong_to_their_flow, many_keys_are_kept_and_forgotten;
            ledger: counts_always_equal_a_recount, a_delivery_that_moves_is_counted_where_it_is,
                test_leads_are_counted_by_themselves;
            queues: what_waits_is_found_in_order_of_due_time, a_delivery_moves_between_queues, heads_are_the_fronts,
                marks_last_until_settled, marks_outlast_an_unclean_stop, a_pause_only_grows;
            lists: every_filter_gives_what_fits_newest_first, a_long_run_of_one_recipient_is_listed_whole, time_bounds_cut_at_the_millisecond, history_is_in_order,
                unknown_things_are_not_there;
            journal: no_line_is_skipped, the_tip_moves_with_every_line, configurations_are_kept, a_readers_place_is_kept;
            erasing: terms_find_leads_newest_first, a_wiped_lead_keeps_ids_states_times_and_counts_only, a_change_in_between_keeps_everything,
                a_lease_that_was_lost_wipes_nothing, what_was_erased_is_barred_for_its_time, an_order_outlasts_an_unclean_stop,
                keys_of_a_wiped_lead_are_forgotten, marks_find_what_was_tried_or_delivered, a_second_wiping_is_harmless;
            protection: the_newest_guard_of_each_endpoint_is_kept, stops_last_until_they_are_ended;
            retention: what_ended_goes_whole_and_stays_counted, ids_of_what_is_gone_are_not_given_again, what_has_not_ended_stays,
                what_changed_since_it_was_found_stays, a_lead_is_kept_for_its_time_from_its_end, many_leads_go_in_slices,
                a_key_lasts_until_its_own_time, old_lines_of_the_journal_go_and_the_newest_stays,
                configurations_go_once_they_gave_way, what_is_kept_of_the_erased_has_its_own_time;
            caps: what_is_accepted_is_counted_with_its_settlement, what_may_have_been_taken_keeps_its_place,
                periods_that_are_over_go_in_small_slices;
            lifetime: a_close_is_clean, a_drop_is_not, each_opening_has_a_larger_epoch, a_closed_store_takes_nothing,
                everything_outlasts_an_unclean_stop;
        );
    };
    (@ $rig:expr; $($module:ident: $($case:ident),+;)+) => {
        $(mod $module {
            #[allow(unused_imports, reason = "the rig's expression may need them")]
            use super::*;
            $(
                #[tokio::test]
                async fn $case() {
                    $crate::conformance::$module::$case(&mut $rig).await;
                }
            )+
        })+
    };
}
