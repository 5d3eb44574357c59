//! Questions that are alike or different: what a server may know from before, and what it cannot.
//!
//! All are as long as each other. Each is made from one template by putting digits in their places, so that making them
//! costs the client next to nothing.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::{http, world};

/// Which questions are asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Series {
    One,
    Many,
    ManyWithIds,
    NeverTwice,
}

/// How many different questions [`Series::Many`] has.
const DIFFERENT: usize = 10_000;
/// The users whose numbers have six digits, of those of `world`.
const FIRST_USER: usize = 100_000;
const USERS: usize = world::ROWS - FIRST_USER;
/// What the template has where digits go. None stands anywhere else in it.
const USER: &str = "123456";
const PROJECT: &str = "project-1234";
const BUILD: &str = "777777777";
const REQUEST: &str = "888888888888";
const SOURCE: &str = "10.112.134.156";

impl Series {
    pub const ALL: [Self; 4] = [Self::One, Self::Many, Self::ManyWithIds, Self::NeverTwice];

    /// As the tables say.
    pub fn name(self) -> &'static str {
        match self {
            Self::One => "one question again and again",
            Self::Many => "10,000 questions in turn",
            Self::ManyWithIds => "the same, each time with a new request id",
            Self::NeverTwice => "no question twice",
        }
    }

    /// User, build and request id of the question of this number.
    fn numbers(self, number: usize) -> (usize, usize, usize) {
        let one_of = number % DIFFERENT;
        // 89 and 7,919 have no divisor in common with what is gone through: all are met before one comes again.
        let user_of_many = FIRST_USER + one_of * 89 % USERS;
        match self {
            Self::One => (500_000, 0, 0),
            Self::Many => (user_of_many, one_of, one_of),
            Self::ManyWithIds => (user_of_many, one_of, number),
            Self::NeverTwice => (FIRST_USER + number * 7_919 % USERS, number, number),
        }
    }
}

/// The questions of one series, for many clients at a time.
pub struct Questions {
    series: Series,
    asked: AtomicUsize,
    template: Vec<u8>,
    user: usize,
    project: usize,
    build: usize,
    request: usize,
    source: usize,
}

/// What one connection sends and waits for.
pub struct Exchange {
    pub message: Vec<u8>,
    /// What stands in the answer: the caller of this question, and of no other.
    expected: Vec<u8>,
}

impl Questions {
    /// None of them was asked before.
    pub fn new(series: Series) -> Self {
        let mut question = world::read_of(123_456);
        question["request"]["path"] = format!("/api/v1/projects/{PROJECT}/builds/{BUILD}?limit=5").into();
        question["request"]["headers"]["x-request-id"] = REQUEST.into();
        question["request"]["source_ip"] = SOURCE.into();
        let template = http::message(&question);
        let place = |part: &str| http::find(&template, part.as_bytes()).expect("its place in the template");
        let (user, project) = (place(USER), place(PROJECT) + PROJECT.len() - 4);
        let (build, request, source) = (place(BUILD), place(REQUEST), place(SOURCE));
        Self { series, asked: AtomicUsize::new(0), template, user, project, build, request, source }
    }

    /// Room for one question at a time.
    pub fn exchange(&self) -> Exchange {
        Exchange { message: self.template.clone(), expected: format!("\"user_id\":\"user-{USER}\"").into() }
    }

    /// Puts the next question into the exchange.
    pub fn next(&self, exchange: &mut Exchange) {
        let (user, build, request) = self.series.numbers(self.asked.fetch_add(1, Ordering::Relaxed));
        let message = &mut exchange.message;
        digits(&mut message[self.user..][..6], user);
        digits(&mut message[self.project..][..4], user / world::PROJECT_SIZE);
        digits(&mut message[self.build..][..9], build);
        digits(&mut message[self.request..][..12], request);
        // 10.1ab.1cd.1ef of the user abcdef.
        for (part, digits_before) in [(4, 10_000), (8, 100), (12, 1)] {
            digits(&mut message[self.source + part..][..2], user / digits_before % 100);
        }
        let end = exchange.expected.len() - 1;
        digits(&mut exchange.expected[end - 6..end], user);
    }
}

impl Exchange {
    /// Whether this answer allows the caller of this question. The floor knows one caller only.
    pub fn check(&self, answer: &[u8], floor: bool) {
        let expected = if floor { b"\"user_id\":\"user-500000\"" } else { &self.expected[..] };
        let right = http::find(answer, b"\"reason\":\"global_token.read\"").is_some()
            && http::find(answer, expected).is_some();
        assert!(right, "a wrong answer: {}", String::from_utf8_lossy(answer));
    }
}

fn digits(into: &mut [u8], mut number: usize) {
    for place in into.iter_mut().rev() {
        *place = b'0' + (number % 10) as u8;
        number /= 10;
    }
}
