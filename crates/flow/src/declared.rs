//! What is wrong with the fields a flow declares.

use crate::compile::too_many;
use crate::mapping::FieldSettings;
use crate::place::{Fault, Place};
use crate::request_settings::FIELD_NAME_BYTES_MAX;
use std::collections::HashSet;

/// Fields a flow may declare.
pub const FIELDS_MAX: usize = 500;
/// Other names one field may come in under.
pub const ALIASES_MAX: usize = 50;

/// Of all of them, at the place of their table.
pub(crate) fn field_faults(place: &Place, fields: &[FieldSettings]) -> Vec<Fault> {
    let mut faults: Vec<Fault> = too_many(place.clone(), fields.len(), FIELDS_MAX).into_iter().collect();
    let mut taken: HashSet<&str> = fields.iter().map(|field| &*field.name).collect();
    for field in fields {
        let place = place.key(&field.name);
        faults.extend(too_many(place.key("alias"), field.aliases.len(), ALIASES_MAX));
        faults.extend(name_fault(&place, &field.name));
        for alias in &field.aliases {
            faults.extend(name_fault(&place.key("alias"), alias));
            if !taken.insert(alias) {
                let problem = "names a field or alias that stands already";
                faults.push(Fault::of(place.key("alias"), &format!("{alias:?}"), problem, "a name used once"));
            }
        }
    }
    faults
}

fn name_fault(place: &Place, name: &str) -> Option<Fault> {
    let fits = !name.is_empty() && name.len() <= FIELD_NAME_BYTES_MAX;
    (!fits).then(|| Fault::unseen(place.clone(), "is not a field name", "1 to 256 bytes"))
}
