//! More questions in one request.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::curves::{Curve, Part, Picture};
use crate::{
    faces::GATEWAY,
    http::{self, Started},
    options::Options,
    world::{self, PROJECT_SIZE, ROWS},
};

const SIZES: [usize; 5] = [1, 3, 10, 30, 100];
/// Few: a request with a hundred questions is much for one connection.
const CONNECTIONS: usize = 8;
/// Different questions, which come in turn.
const DIFFERENT: usize = 9_000;

/// One way to ask several questions, and to ask one.
struct Way {
    name: &'static str,
    single: &'static str,
    several: &'static str,
    list: &'static str,
    /// What stands in an answer once for each question.
    right: &'static str,
    question: fn(usize) -> Value,
}

const WAYS: [Way; 2] = [
    Way {
        name: "/v1/decide/batch",
        single: "/v1/decide",
        several: "/v1/decide/batch",
        list: "requests",
        right: "\"allow\":true",
        question: world::read_of,
    },
    Way {
        name: "/access/v1/evaluations",
        single: "/access/v1/evaluation",
        several: "/access/v1/evaluations",
        list: "evaluations",
        right: "\"decision\":true",
        question: evaluation,
    },
];

fn evaluation(user: usize) -> Value {
    json!({"subject": {"type": "user", "id": format!("user-{user}")}, "action": {"name": "read"},
        "resource": {"type": "project", "id": format!("project-{}", user / PROJECT_SIZE)}})
}

impl Way {
    /// All questions, in requests of so many; as they are asked singly, where it is none.
    fn messages(&self, size: Option<usize>) -> Vec<Vec<u8>> {
        let users = || (0..DIFFERENT).map(|number| number * 7_919 % ROWS);
        let questions: Vec<Value> = users().map(self.question).collect();
        match size {
            None => questions.iter().map(|question| message(self.single, question)).collect(),
            Some(size) => questions
                .chunks_exact(size)
                .map(|chunk| message(self.several, &json!({ self.list: chunk })))
                .collect(),
        }
    }
}

fn message(path: &str, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: regate\r\nauthorization: Bearer {GATEWAY}\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Asks each size in turn; microseconds a question are those of the whole machine.
pub fn measure(options: &Options) -> Part {
    let (turns, length) =
        if options.quick { (2, Duration::from_millis(300)) } else { (5, Duration::from_secs(2)) };
    eprintln!("growth: batches …");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let server = Started::quiet(&["serve-faces", &ROWS.to_string()]);
    let (address, _) = server.address.split_once(' ').expect("two addresses");
    let mut curves = Vec::new();
    for way in &WAYS {
        let single = Arc::new(way.messages(None));
        let several: Vec<_> = SIZES.iter().map(|&size| Arc::new(way.messages(Some(size)))).collect();
        let turn = |messages: &Arc<Vec<Vec<u8>>>, size: usize| {
            runtime.block_on(ask(address, messages, size, way.right, length))
        };
        let (mut alone, mut each) = (Vec::new(), vec![Vec::new(); SIZES.len()]);
        // The first round warms up, and is not counted.
        for round in 0..=turns {
            eprintln!("growth: {}, turn {round} …", way.name);
            let one = turn(&single, 1);
            let of_sizes: Vec<f64> =
                several.iter().zip(SIZES).map(|(messages, size)| turn(messages, size)).collect();
            if round > 0 {
                alone.push(one);
                each.iter_mut().zip(of_sizes).for_each(|(figures, figure)| figures.push(figure));
            }
        }
        let ratios = each.iter().map(|figures| figures.iter().zip(&alone).map(|(e, a)| e / a).collect());
        let ratios: Vec<Vec<f64>> = ratios.collect();
        let singly = SIZES.iter().map(|&size| (size, alone.clone()));
        curves.push(Curve::new(way.name, "µs a question", SIZES.into_iter().zip(each)));
        curves.push(Curve::new(way.single, "µs a question", singly));
        curves.push(Curve::new("ratio", "", SIZES.into_iter().zip(ratios)));
    }
    let names: Vec<&str> = WAYS.iter().flat_map(|way| [way.name, way.single]).collect();
    let pictures = vec![Picture::of(
        "batches.svg",
        "Time of a question, as batches grow",
        "µs a question",
        false,
        &names,
    )];
    Part {
        name: "Batches".to_owned(),
        across: "questions in a request".to_owned(),
        how: format!(
            "{DIFFERENT} different questions in turn over {CONNECTIONS} connections, each asking when it has its answer; \
             microseconds that pass for a question to be answered, the client on the same processors. Beside each batch stands \
             the same question asked alone, and the ratio of the two in the same turn."
        ),
        curves,
        pictures,
    }
}

/// Microseconds a question.
async fn ask(
    address: &str,
    messages: &Arc<Vec<Vec<u8>>>,
    size: usize,
    right: &'static str,
    length: Duration,
) -> f64 {
    let next = Arc::new(AtomicUsize::new(0));
    let begun = Instant::now();
    let asking: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let (address, messages, next) = (address.to_owned(), Arc::clone(messages), Arc::clone(&next));
            tokio::spawn(async move {
                let mut stream = http::connect(&address).await;
                let mut buffer = vec![0; 256 * 1024];
                while begun.elapsed() < length {
                    let message = &messages[next.fetch_add(1, Ordering::Relaxed) % messages.len()];
                    stream.write_all(message).await.expect("to write");
                    let mut filled = 0;
                    while !http::is_whole(&buffer[..filled]) {
                        let count = stream.read(&mut buffer[filled..]).await.expect("to read");
                        assert!(count > 0, "the server closed the connection");
                        filled += count;
                    }
                    let answer = String::from_utf8_lossy(&buffer[..filled]);
                    assert_eq!(answer.matches(right).count(), size, "a wrong answer: {answer}");
                }
            })
        })
        .collect();
    for connection in asking {
        connection.await.expect("an answer to each question");
    }
    let questions = next.load(Ordering::Relaxed) * size;
    begun.elapsed().as_secs_f64() * 1e6 / questions as f64
}
