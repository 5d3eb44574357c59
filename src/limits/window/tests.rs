use std::time::Duration;

use proptest::prelude::*;

use super::{SLOTS, Shape, Window};
use crate::limits::{Limit, MOST, Moment, told::limit};

const SECOND: Duration = Duration::from_secs(1);
const MILLI: Duration = Duration::from_millis(1);

fn shape(calls: u32, window: Duration) -> Shape {
    Shape::of(&Limit { window, ..limit("k", calls) })
}

/// Counts calls if they fit in.
fn call(window: &mut Window, count: u32, at: Duration) -> bool {
    let now = Moment::of(at);
    window.pass(now);
    let fits = window.fits(count);
    if fits {
        window.add(count, now);
    }
    fits
}

/// What the window is held to: each call, and when.
#[derive(Default)]
struct Exact(Vec<(Duration, u32)>);

impl Exact {
    /// How many calls there were in the time before a moment; a call is as long ago as its window is no more.
    fn used(&self, at: Duration, window: Duration) -> u32 {
        self.0.iter().filter(|(time, _)| *time + window > at).map(|(_, count)| count).sum()
    }
}

/// Gaps between calls: none, some within a slot, some as long as windows.
fn gaps() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(0_u64),
        0..2_000_000_u64,
        0..50_000_000_u64,
        0..1_500_000_000_u64,
        Just(1_000_000_000),
        Just(999_999_999)
    ]
    .prop_map(Duration::from_nanos)
}

fn calls() -> impl Strategy<Value = Vec<(Duration, u32)>> {
    proptest::collection::vec((gaps(), prop_oneof![Just(1_u32), 1..20_u32]), 1..200)
}

proptest! {
    #[test]
    fn never_more_than_the_limit_and_a_place_is_free_one_slot_late_at_most(
        most in prop_oneof![1..8_u32, 1..=60_u32, 61..300_u32],
        seconds in 1..4_u64,
        beginning in gaps(),
        calls in calls(),
    ) {
        let length = SECOND * u32::try_from(seconds).unwrap();
        let shape = shape(most, length);
        let late = MILLI * shape.slot;
        let (mut window, mut exact, mut at) = (Window::new(shape), Exact::default(), beginning);
        for (gap, count) in calls {
            at += gap;
            if call(&mut window, count, at) {
                prop_assert!(exact.used(at, length) + count <= most);
                exact.0.push((at, count));
            } else {
                prop_assert!(exact.used(at, length + late) + count > most);
                // It says exactly when it will let the same call through.
                let now = Moment::of(at);
                let wait = window.wait(count, now);
                let then = Duration::from_millis(now.floor) + wait;
                prop_assert!(wait >= MILLI);
                if count > most {
                    prop_assert_eq!(wait, length);
                } else {
                    prop_assert!(!call(&mut window.clone(), count, then - MILLI));
                    let rounded = shape.slot == 1 && wait == length;
                    prop_assert!(call(&mut window.clone(), count, then + MILLI * u32::from(rounded)));
                    let longest = if shape.slot == 1 { length } else { length + late };
                    prop_assert!(wait <= longest);
                }
            }
            prop_assert!(window.steps.len() <= usize::try_from(SLOTS).unwrap() + 1);
            prop_assert_eq!(window.used, window.steps.iter().map(|step| step.count()).sum::<u32>());
            prop_assert!(window.is_over(Moment::of(at + length + late)));
        }
    }

    #[test]
    fn calls_that_others_let_through_fill_the_window_beyond_its_limit(
        most in prop_oneof![1..8_u32, 1..=60_u32, 61..300_u32],
        calls in calls(),
    ) {
        let shape = shape(most, SECOND);
        let (mut window, mut exact, mut at) = (Window::new(shape), Exact::default(), Duration::ZERO);
        for (gap, count) in calls {
            at += gap;
            let now = Moment::of(at);
            window.pass(now);
            if window.fits(count) {
                prop_assert!(exact.used(at, SECOND) + count <= most);
            } else {
                prop_assert!(exact.used(at, SECOND + MILLI * shape.slot) + count > most);
            }
            window.add(count, now);
            exact.0.push((at, count));
            prop_assert!(window.steps.len() <= usize::try_from(SLOTS).unwrap() + 1);
        }
    }

    #[test]
    fn what_is_taken_back_leaves_room_for_itself_and_no_more(
        most in prop_oneof![1..8_u32, 1..=60_u32, 61..300_u32],
        calls in calls(),
        back in proptest::collection::vec(any::<prop::sample::Index>(), 0..40),
    ) {
        let shape = shape(most, SECOND);
        let (mut window, mut exact, mut at) = (Window::new(shape), Exact::default(), Duration::ZERO);
        let (mut slots, mut back) = (Vec::new(), back.into_iter());
        for (gap, count) in calls {
            at += gap;
            let now = Moment::of(at);
            window.pass(now);
            if window.fits(count) {
                prop_assert!(exact.used(at, SECOND) + count <= most);
                slots.push(window.add(count, now));
                exact.0.push((at, count));
            } else {
                prop_assert!(exact.used(at, SECOND + MILLI * shape.slot) + count > most);
            }
            if let (Some(index), false) = (back.next(), slots.is_empty()) {
                let index = index.index(slots.len());
                let (_, count) = exact.0.remove(index);
                window.take_back(count, slots.remove(index));
            }
        }
    }
}

#[test]
fn small_limits_are_exact() {
    let shape = shape(2, SECOND);
    let mut window = Window::new(shape);
    assert!(call(&mut window, 1, MILLI * 5));
    assert!(call(&mut window, 1, MILLI * 700));
    assert!(!call(&mut window, 1, MILLI * 1_004));
    assert!(call(&mut window, 1, MILLI * 1_005));
    assert!(!call(&mut window, 1, MILLI * 1_699));
    assert_eq!(window.wait(1, Moment::of(MILLI * 1_699)), MILLI);
    assert_eq!(window.wait(2, Moment::of(MILLI * 1_699)), MILLI * 306);
    assert_eq!(window.wait(0, Moment::of(MILLI * 1_699)), MILLI);
}

#[test]
fn large_limits_take_no_more_room() {
    let day = SECOND * 86_400;
    let shape = shape(MOST, day);
    let mut window = Window::new(shape);
    for index in 0..MOST {
        assert!(call(&mut window, 1, MILLI * 80 * index), "{index}");
    }
    assert!(!call(&mut window, 1, MILLI * 80 * MOST));
    assert_eq!(window.steps.len(), 57);
    assert_eq!(shape.slot, 1_440_000);
}

#[test]
fn numbers_out_of_range_are_brought_into_it() {
    let none = Shape::of(&limit("k", 0));
    assert!(!call(&mut Window::new(none), 1, SECOND));
    assert_eq!(Shape::of(&limit("k", u32::MAX)).limit, MOST);
    assert_eq!(shape(1, Duration::ZERO).window, 1_000);
    assert_eq!(shape(1, Duration::MAX).window, u32::MAX);
    let mut window = Window::new(shape(1, Duration::MAX));
    let late = SECOND * 86_400 * 365 * 100;
    assert!(call(&mut window, 1, late));
    assert!(!call(&mut window, 1, late + SECOND));
    // What somebody else let through, without end.
    let mut window = Window::new(shape(MOST, SECOND));
    for _ in 0..3 {
        window.add(u32::MAX, Moment::of(SECOND));
    }
    assert_eq!((window.used, window.remaining()), (MOST, 0));
    window.add(1, Moment::of(SECOND + MILLI * 500));
    assert!(!call(&mut window, 1, SECOND + MILLI * 999));
    assert!(call(&mut window, MOST - 1, SECOND * 3));
}

#[test]
fn a_window_and_its_key_take_64_bytes_beside_its_steps() {
    let entry = size_of::<(crate::limits::fingerprint::Fingerprint, Window)>();
    assert_eq!((entry, size_of::<super::Step>()), (64, 8));
}
