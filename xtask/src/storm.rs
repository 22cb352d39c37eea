//! `cargo xtask storm`: builds the storm with optimizations and hands over what it is told. With `--kill N` or `--power N` it
//! runs the real server through so many rounds instead, and with `--sale N` through so many leads, as the server's own tests do with few.

use std::process::{Command, ExitCode};

/// Runs it. Fails when it does, or when it cannot be built.
pub(crate) fn run(arguments: &[String]) -> ExitCode {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    if let Some((file, test, variable, number)) = of_the_process(arguments) {
        let words = ["test", "--locked", "--package", "steadfast", "--test", file, "--", "--nocapture", "--exact"];
        return told(Command::new(cargo).args(words).arg(test).env(variable, number));
    }
    let run = ["run", "--release", "--quiet", "--locked", "--package", "steadfast-storm", "--"];
    told(Command::new(cargo).args(run).args(arguments))
}

/// The file and the test that does it in few rounds, what it reads the number from, and that number.
fn of_the_process(arguments: &[String]) -> Option<(&'static str, &'static str, &'static str, &str)> {
    match arguments {
        [kill, rounds] if kill == "--kill" => {
            Some(("surviving", "kill_9_in_a_loop_under_load_loses_nothing", "STEADFAST_KILL_ROUNDS", rounds))
        }
        [power, rounds] if power == "--power" => {
            Some(("surviving", "power_cuts_under_load_lose_nothing_acknowledged", "STEADFAST_POWER_CUTS", rounds))
        }
        [sale, leads] if sale == "--sale" => {
            Some(("exclusive", "kill_9_under_an_exclusive_sale_sells_no_lead_twice", "STEADFAST_SALE_LEADS", leads))
        }
        _ => None,
    }
}

fn told(command: &mut Command) -> ExitCode {
    match command.status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("storm: cargo could not be run: {error}");
            ExitCode::from(2)
        }
    }
}
