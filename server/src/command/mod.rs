//! What the binary can be told to do, one file per command.

mod caps;
mod check;
mod classify;
mod deliveries;
mod demo;
mod explain;
mod import;
mod init;
mod keeping;
mod key;
mod recipients;
mod render;
mod serve;
mod simulate;

pub(crate) use caps::caps;
pub(crate) use check::check;
#[cfg(test)]
pub(crate) use classify::classified;
pub(crate) use classify::{ReadBy, WrongUsage, classify};
pub(crate) use deliveries::{Action, Connection, run as deliveries};
pub(crate) use demo::{DemoArgs, demo};
pub(crate) use explain::{Wanted, explain};
pub(crate) use import::{ImportArgs, run as import};
pub(crate) use init::init;
pub(crate) use keeping::{DataFolder, backup, migrate, restore};
pub(crate) use key::new as new_key;
pub(crate) use recipients::{FlowAction, RecipientAction, flows, recipients};
pub(crate) use render::{Rendering, render, time};
pub(crate) use serve::{ServeArgs, serve};
pub(crate) use simulate::{Shown, simulate};
