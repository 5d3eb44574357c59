//! Clients of the speed benchmark: as fast as answers come, and at a fixed rate whatever the answers do.

use std::{
    io::{Read, Write},
    net::TcpStream,
    num::NonZeroU64,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    figures::quantile,
    http::{self, CONNECTIONS, Turn},
    speed_questions::Questions,
};

/// Who is asked.
#[derive(Clone)]
pub struct Asked {
    pub address: String,
    pub floor: bool,
}

fn turn(mut times: Vec<f64>, elapsed: Duration) -> Turn {
    times.sort_by(f64::total_cmp);
    Turn {
        per_second: times.len() as f64 / elapsed.as_secs_f64(),
        p50: quantile(&times, 0.5),
        p99: quantile(&times, 0.99),
    }
}

/// Each of so many connections asks the next question when it has its answer.
pub async fn saturate(
    connections: usize,
    asked: &Asked,
    questions: &Arc<Questions>,
    length: Duration,
) -> Turn {
    let mut streams = Vec::with_capacity(connections);
    for _ in 0..connections {
        streams.push(http::connect(&asked.address).await);
    }
    let begun = Instant::now();
    let ask = |mut stream: tokio::net::TcpStream| {
        let (asked, questions) = (asked.clone(), Arc::clone(questions));
        tokio::spawn(async move {
            let (mut exchange, mut buffer) = (questions.exchange(), vec![0; 16 * 1024]);
            let mut times = Vec::with_capacity(10_000);
            while begun.elapsed() < length {
                questions.next(&mut exchange);
                let sent = Instant::now();
                stream.write_all(&exchange.message).await.expect("to write");
                let mut filled = 0;
                while !http::is_whole(&buffer[..filled]) {
                    let count = stream.read(&mut buffer[filled..]).await.expect("to read");
                    assert!(count > 0, "the server closed the connection");
                    filled += count;
                }
                exchange.check(&buffer[..filled], asked.floor);
                times.push(sent.elapsed().as_secs_f64() * 1e3);
            }
            times
        })
    };
    let asking: Vec<_> = streams.into_iter().map(ask).collect();
    let mut times = Vec::new();
    for connection in asking {
        times.extend(connection.await.expect("an answer to each question"));
    }
    turn(times, begun.elapsed())
}

/// So many questions a second, each due at a time of its own and counted from then: an answer that is late makes those
/// behind it late, and that counts as often as it is felt. A thread for each connection, as tokio's timers are as coarse as
/// a millisecond and would send them in bursts.
pub fn at_rate(asked: &Asked, questions: &Arc<Questions>, length: Duration, per_second: f64) -> Turn {
    let period = Duration::from_secs_f64(CONNECTIONS as f64 / per_second);
    let begun = Instant::now();
    let asking: Vec<_> = (0..CONNECTIONS)
        .map(|number| {
            let (asked, questions) = (asked.clone(), Arc::clone(questions));
            thread::spawn(move || {
                // Else the kernel may let it sleep 50 µs longer.
                rustix::thread::set_current_timer_slack(NonZeroU64::new(1)).expect("exact timers");
                let mut stream = TcpStream::connect(&asked.address).expect("a connection");
                stream.set_nodelay(true).expect("no delay");
                let (mut exchange, mut buffer) = (questions.exchange(), vec![0; 16 * 1024]);
                let mut times = Vec::with_capacity(10_000);
                let mut due = begun + period * number as u32 / CONNECTIONS as u32;
                while due.duration_since(begun) < length {
                    questions.next(&mut exchange);
                    thread::sleep(due.saturating_duration_since(Instant::now()));
                    stream.write_all(&exchange.message).expect("to write");
                    let mut filled = 0;
                    while !http::is_whole(&buffer[..filled]) {
                        let count = stream.read(&mut buffer[filled..]).expect("to read");
                        assert!(count > 0, "the server closed the connection");
                        filled += count;
                    }
                    exchange.check(&buffer[..filled], asked.floor);
                    times.push(due.elapsed().as_secs_f64() * 1e3);
                    due += period;
                }
                times
            })
        })
        .collect();
    let times = asking.into_iter().flat_map(|connection| connection.join().expect("the answers")).collect();
    turn(times, begun.elapsed())
}
