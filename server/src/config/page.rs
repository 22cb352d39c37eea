//! The reference page of the config file, written from the key tables.

use super::keys::{Key, ROOT, TABLES, Table};
use std::fmt::Write as _;

/// The whole page in Markdown.
pub(crate) fn reference_page() -> String {
    let mut page = HEAD.to_owned();
    for table in TABLES {
        section(table, &mut page);
    }
    page
}

const HEAD: &str = "# Config file

<!-- Written from the table of keys in server/src/config/keys.rs: UPDATE_DOCS=1 cargo test -p steadfast config -->

One TOML file of at most 1 MiB. `steadfast init` writes one to start from, `steadfast check FILE` names every problem in
one run with line, key, value and what is allowed, and `steadfast explain FILE --flow F --step S` shows which level each
retry value came from. Unknown keys are errors.

- **Durations** are texts with a unit: `\"250ms\"`, `\"2s\"`, `\"5m\"`, `\"1h\"`, `\"1d\"`, also in a row: `\"1h30m\"`.
- **Sizes** are bytes, or texts such as `\"512KiB\"`, `\"64MiB\"`, `\"1GiB\"`.
- **Names** of accounts, recipients, flows, steps and policies are 1 to 64 of `A-Z a-z 0-9 - _ .`, beginning with a letter
  or a digit.
- **References**: `${NAME}` inside any text is the environment variable of that name (`$${` stands for `${`). A credential or
  a header's value may also be `\"file:PATH\"`, relative to the config file. Both are read when the config is loaded; messages
  name the key, never the value.
";

fn section(table: &Table, page: &mut String) {
    let heading = if table.header == ROOT.header { "Tables".to_owned() } else { format!("`{}`", table.header) };
    let _ = write!(page, "\n## {heading}\n\n{}\n\n", table.about);
    page.push_str("| key | type | allowed | default | what it does |\n|---|---|---|---|---|\n");
    table.keys.iter().for_each(|key| row(key, page));
}

fn row(key: &Key, page: &mut String) {
    let default = if key.default.is_empty() { String::new() } else { format!("`{}`", key.default) };
    let _ = writeln!(page, "| `{}` | {} | {} | {default} | {} |", key.name, key.kind, key.allowed, key.about);
}
