//! The decision: what an answer means, whether and when to try again, and everything one attempt changes.
//!
//! Pure. Holds no clock, randomness, socket, file, runtime or `async fn`: times and the dice's seed are arguments, so that
//! the server and the simulator run this same code, and so that every decision can be computed again from what was stored.

mod admit;
mod after_sale;
mod backoff;
pub mod breaker;
mod budget;
pub mod calendar;
mod cap;
mod change;
mod choice;
mod classify;
mod closing;
mod decide;
mod delivery;
mod duplicate;
mod erase;
mod event;
mod evidence;
pub mod fair;
mod guard;
mod hint;
mod look_up;
mod outcome;
pub mod pace;
pub mod policy;
mod ramp;
pub mod reading;
mod reroute;
mod reschedule;
mod route;
mod settle;
mod shard;
mod stop;
mod suppression;
mod test_lead;
mod tie;

pub use admit::{Admission, admit};
pub use after_sale::{AfterSale, Booking, Conversion, RefusedAfterSale, after_sale};
pub use backoff::{Seed, Window, delay, nominal, window};
pub use budget::{Budget, BudgetSnapshot};
pub use cap::{CAP_MAX, Cap, CapChange, CapFull, CapLedger, CapPer, CapPeriod, CapTally, OnCap, capped, look_again};
pub use change::{
    RefusedVerb, Verb, assume_delivered, close, doubt, hold, hold_because, park, refer, reject, replan, verb,
};
pub use choice::{
    Balance, BalanceRules, Candidate, Choice, Chosen, Criterion, EndpointLoad, Learned, Offer, Rating, ShareLedger,
    ShareOf, ShareTally, TrackRecord, choose, chooses_again, explore_dice, go_to, move_to,
};
pub use classify::classify_status;
pub use closing::{Closing, RetryHours, WhenClosed, end_by_closing};
pub use decide::{Because, Decided, Decision, InDoubt, Situation, decide};
pub use delivery::{BodyMark, CloseReason, Delivery, Endpoint, HoldReason, LegProgress, ReviewCause, State, StateName};
pub use duplicate::{DuplicateFate, duplicate};
pub use erase::{erase, wiped};
pub use event::{AttemptSettled, DecisionName, Event, EventKind, LookUpSettled};
pub use evidence::{Answer, Evidence, Fault, FaultKind, Phase, Timings};
pub use guard::{Guard, GuardSettings, GuardSnapshot, Permit, Sending, ask};
pub use hint::{Hint, HintSource, asked_pause, read_hint};
pub use look_up::{LOOK_UPS_MAX, LookUp, LookUpAnswer, LookedUp, in_doubt_elsewhere, not_found_rule, settle_look_up};
pub use outcome::{ErrorKind, FailureKind, Outcome, Verdict};
pub use ramp::{Ramp, Took};
pub use reading::Reading;
pub use reroute::{RefusedReroute, Reroute, Way, reroute};
pub use reschedule::reschedule;
pub use route::{FollowUp, LegEnds, NextLeg, Route, end_leg, leave_leg};
pub use settle::{Attempt, Change, EndpointPause, Entry, Sent, Settlement, Terms, settle};
pub use shard::{Epoch, Fence, Shard};
pub use stop::{Stop, StopTarget};
pub use suppression::{PersonMark, Suppressed, Within};
pub use test_lead::close_test;
pub use tie::{
    Follow, Moved, RefusedBySale, Standing, Tie, Tied, Ties, Turn, concerns_others, standing, tie, whose_turn,
};
