//! Test leads, posted to the server as any client would post them.

use crate::client::ApiClient;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::MissedTickBehavior;

/// How many leads, and how fast.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Traffic {
    /// Time between two leads.
    pub(crate) every: Duration,
}

const FIRST: [&str; 8] = ["Ada", "Grace", "Alan", "Edsger", "Barbara", "Donald", "Radia", "Ken"];
const LAST: [&str; 7] = ["Example", "Sample", "Placeholder", "Specimen", "Testcase", "Demo", "Fixture"];
const STATES: [&str; 5] = ["CA", "TX", "NY", "FL", "WA"];

/// Posts leads until dropped. A lead the server refuses is shown, not posted again.
pub(crate) async fn post_leads(client: Arc<ApiClient>, traffic: Traffic) {
    let mut ticks = tokio::time::interval(traffic.every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for number in 0_usize.. {
        ticks.tick().await;
        let client = Arc::clone(&client);
        // Each in a task of its own: a slow answer must not slow the stream.
        tokio::spawn(async move {
            if let Err(error) = client.post("/v1/flows/demo/leads", lead(number)).await {
                tracing::warn!(%error, "a demo lead was not taken");
            }
        });
    }
}

/// A person who does not exist.
fn lead(number: usize) -> String {
    let (first, last) = (FIRST[number % FIRST.len()], LAST[number % LAST.len()]);
    let state = STATES[number % STATES.len()];
    let email = format!("{}.{}.{number}@example.com", first.to_lowercase(), last.to_lowercase());
    serde_json::json!({
        "first_name": first,
        "last_name": last,
        "email": email,
        "phone": format!("555-01{:02}", number % 100),
        "state": state,
        "product": "auto insurance",
    })
    .to_string()
}
