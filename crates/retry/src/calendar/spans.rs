//! Parts of one day on the wall clock, in minutes from its midnight. Knows no date and no zone.

/// Minutes of a day.
pub(crate) const DAY: u16 = 1_440;

/// Parts of a day: sorted, not touching, each `from..until` in minutes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spans(Vec<(u16, u16)>);

impl Spans {
    /// The whole day.
    pub(crate) fn whole() -> Self {
        Spans(vec![(0, DAY)])
    }

    /// Adds `from..until`; an empty part adds nothing.
    pub(crate) fn add(&mut self, (mut from, mut until): (u16, u16)) {
        if from >= until {
            return;
        }
        self.0.retain(|&(start, end)| {
            let apart = end < from || start > until;
            if !apart {
                (from, until) = (from.min(start), until.max(end));
            }
            apart
        });
        let place = self.0.partition_point(|&(start, _)| start < from);
        self.0.insert(place, (from, until));
    }

    /// Takes `from..until` away.
    pub(crate) fn take(&mut self, (from, until): (u16, u16)) {
        if from >= until {
            return;
        }
        let left = |&(start, end): &(u16, u16)| [(start, end.min(from)), (start.max(until), end)];
        self.0 = self.0.iter().flat_map(left).filter(|(start, end)| start < end).collect();
    }

    /// What is in both.
    pub(crate) fn within(mut self, other: &Spans) -> Self {
        let mut at = 0;
        for &(start, end) in &other.0 {
            self.take((at, start));
            at = end;
        }
        self.take((at, DAY));
        self
    }

    /// What is in neither of `other`'s parts.
    pub(crate) fn without(mut self, other: &Spans) -> Self {
        for span in &other.0 {
            self.take(*span);
        }
        self
    }

    /// The parts, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u16, u16)> + '_ {
        self.0.iter().copied()
    }

    /// Whether a minute is in one of them.
    pub(crate) fn hold(&self, minute: u16) -> bool {
        self.iter().any(|(from, until)| (from..until).contains(&minute))
    }
}

impl FromIterator<(u16, u16)> for Spans {
    fn from_iter<I: IntoIterator<Item = (u16, u16)>>(parts: I) -> Self {
        let mut spans = Spans::default();
        parts.into_iter().for_each(|part| spans.add(part));
        spans
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(parts: &[(u16, u16)]) -> Spans {
        parts.iter().copied().collect()
    }

    #[test]
    fn parts_that_touch_become_one() {
        assert_eq!(of(&[(60, 120), (180, 240), (120, 180)]).0, [(60, 240)]);
        assert_eq!(of(&[(300, 400), (60, 120), (5, 5), (90, 130)]).0, [(60, 130), (300, 400)]);
    }

    #[test]
    fn taking_splits_and_meeting_keeps_what_is_in_both() {
        let mut spans = of(&[(60, 240), (300, 400)]);
        spans.take((100, 320));
        assert_eq!(spans.0, [(60, 100), (320, 400)]);
        assert_eq!(spans.clone().within(&of(&[(0, 70), (90, 330)])).0, [(60, 70), (90, 100), (320, 330)]);
        assert_eq!(spans.clone().within(&Spans::default()).0, []);
        assert_eq!(spans.without(&of(&[(0, 70), (90, 330)])).0, [(70, 90), (330, 400)]);
        assert!(Spans::whole().hold(0) && Spans::whole().hold(1_439) && !of(&[(5, 6)]).hold(6));
    }
}
