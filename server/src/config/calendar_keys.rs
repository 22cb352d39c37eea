//! The keys about calendars: named ones, and what a recipient says about when it may be called.

use super::keys::{Key, Table, key};

const HOURS_ALLOWED: &str = "OSM opening_hours, such as Mo-Fr 09:00-17:00; Sa 10:00-12:00, at most 1000 bytes";
const HOLIDAYS_KEY: Key = key(
    "holidays",
    "list of dates",
    "at most 1000, such as 2026-12-25",
    "[]",
    "Public holidays: closed all day, unless the hours speak of PH. Those of a named calendar and of the recipient add up.",
);
const MAINTENANCE_KEY: Key = key(
    "maintenance",
    "list of tables",
    "at most 100 with from and until, 20 with hours; see maintenance",
    "[]",
    "Times it is closed whatever its hours. Those of a named calendar and of the recipient add up.",
);
const ZONE_ALLOWED: &str = "an IANA name, such as America/Chicago";

/// Of the whole file.
pub(crate) const CALENDARS: Key = key(
    "calendars",
    "tables by name",
    "see [calendars.NAME]",
    "",
    "Hours, holidays and maintenance that recipients may stand on.",
);
/// On an account.
pub(crate) const ACCOUNT_ZONE: Key = key(
    "time_zone",
    "text",
    ZONE_ALLOWED,
    "",
    "The account's time zone, for its recipients' hours unless they say another.",
);
/// On a recipient.
pub(crate) const HOURS: Key = key(
    "hours",
    "text",
    HOURS_ALLOWED,
    "always",
    "When it may be called; what comes due outside is held until it opens and uses no retry. See [calendars](calendars.md).",
);
/// On a recipient.
pub(crate) const TIME_ZONE: Key = key(
    "time_zone",
    "text",
    ZONE_ALLOWED,
    "its calendar's, else its account's",
    "The zone its hours, holidays and maintenance are read in.",
);
/// On a recipient.
pub(crate) const CALENDAR: Key = key(
    "calendar",
    "text",
    "a calendar's name",
    "",
    "The calendar it stands on; its own hours and time_zone take the place of the calendar's.",
);
/// On a recipient.
pub(crate) const CLOSED: Key = key(
    "closed",
    "text",
    "hold, next, skip, reject",
    "\"hold\"",
    "What becomes of a delivery that comes due in closed hours or on a holiday: it waits; its next leg begins, or in a sale the next buyer has its turn, and where nothing follows it waits (next); it is closed; it counts as rejected. In maintenance it waits.",
);
/// On a recipient.
pub(crate) const HOLIDAYS: Key = HOLIDAYS_KEY;
/// On a recipient.
pub(crate) const MAINTENANCE_LIST: Key = MAINTENANCE_KEY;
/// In a recipient's limits.
pub(crate) const HOURS_LIMIT: Key =
    key("hours", "text", HOURS_ALLOWED, "", "Never outside these, whatever its hours or its calendar say.");

/// `[calendars.NAME]`.
pub(crate) const CALENDAR_TABLE: Table = Table {
    header: "[calendars.NAME]",
    about: "Hours, holidays and maintenance that several recipients may stand on.",
    keys: &[
        key("hours", "text", HOURS_ALLOWED, "always", "When it is open."),
        key("time_zone", "text", ZONE_ALLOWED, "that of the recipient's account", "The zone it is read in."),
        HOLIDAYS_KEY,
        MAINTENANCE_KEY,
    ],
};

/// `maintenance` of a calendar or a recipient.
pub(crate) const MAINTENANCE: Table = Table {
    header: "maintenance",
    about: "One entry of the list: a window that comes once, with from and until, or again and again, with hours.",
    keys: &[
        key(
            "from",
            "date with time",
            "2026-12-24T22:00 in the calendar's zone, or with an offset",
            "",
            "The beginning of a window that comes once.",
        ),
        key("until", "date with time", "after from; windows must not overlap", "", "Its end."),
        key("hours", "text", "as hours, such as Su[1] 02:00-04:00", "", "When it comes again and again."),
        key("note", "text", "at most 200 bytes", "", "What for."),
    ],
};
