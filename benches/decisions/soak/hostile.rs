//! Clients that hang and lie, all the time: none is ever allowed anything, and each is gone in the end.

use std::{sync::Arc, time::Duration};

use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use super::Soak;

/// Of them at a time.
const CLIENTS: u64 = 48;
/// By then regate has closed every one of them: `idle_time` is 10 s, `receive_time` 5 s.
const GONE_WITHIN: Duration = Duration::from_secs(90);

/// What one of them does.
#[derive(Clone, Copy, Debug)]
enum Way {
    SaysNothing,
    HalfAHead,
    SlowHead,
    HalfABody,
    SlowBody,
    ReadsNothing,
    Garbage,
    TwoLengths,
    TooShort,
    HugeHeader,
    ManyHeaders,
    EndlessChunks,
    HugeLength,
    TlsHello,
    BadJson,
    DeepJson,
    BrokenHttp2,
    HangingHttp2,
    Vanishes,
    OnlyHalfCloses,
}

const WAYS: [Way; 20] = [
    Way::SaysNothing,
    Way::HalfAHead,
    Way::SlowHead,
    Way::HalfABody,
    Way::SlowBody,
    Way::ReadsNothing,
    Way::Garbage,
    Way::TwoLengths,
    Way::TooShort,
    Way::HugeHeader,
    Way::ManyHeaders,
    Way::EndlessChunks,
    Way::HugeLength,
    Way::TlsHello,
    Way::BadJson,
    Way::DeepJson,
    Way::BrokenHttp2,
    Way::HangingHttp2,
    Way::Vanishes,
    Way::OnlyHalfCloses,
];

const QUESTION: &str =
    r#"{"token": "soak-nobody", "request": {"method": "GET", "path": "/api/v1/projects/p0"}}"#;
const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Begins; it ends with the soak.
pub fn begin(soak: &Arc<Soak>) {
    for number in 0..CLIENTS {
        let soak = Arc::clone(soak);
        tokio::spawn(async move {
            let mut random = StdRng::seed_from_u64(soak.seed ^ (4_000 + number));
            while soak.goes_on() {
                let way = WAYS[random.random_range(0..WAYS.len())];
                one(&soak, way, &mut random).await;
                tokio::time::sleep(Duration::from_millis(random.random_range(0..500))).await;
            }
        });
    }
}

async fn one(soak: &Soak, way: Way, random: &mut StdRng) {
    let Ok(mut stream) = connect(soak, way).await else {
        soak.tally.count("hostile", "not connected");
        return;
    };
    // A server that has heard enough may close while the client still speaks.
    let _ = timeout(GONE_WITHIN, speak(&mut stream, way, random)).await;
    if matches!(way, Way::Vanishes) {
        let _ = stream.set_zero_linger();
        soak.tally.count("hostile", &format!("{way:?}: left"));
        return;
    }
    let mut answer = Vec::new();
    let gone = match way {
        // It finds out by the end of the connection alone.
        Way::ReadsNothing => timeout(GONE_WITHIN, until_broken(&mut stream)).await.is_ok(),
        _ => timeout(GONE_WITHIN, stream.read_to_end(&mut answer)).await.is_ok(),
    };
    let text = String::from_utf8_lossy(&answer);
    if !gone {
        soak.tally.fail(format!("a client that {way:?} is there still after {GONE_WITHIN:?}: {text:.200}"));
    }
    if text.contains("\"allow\":true") || text.contains("HTTP/1.1 5") {
        soak.tally.fail(format!("a client that {way:?} was answered {text:.300}"));
    }
    let status = text.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).unwrap_or("closed");
    soak.tally.count("hostile", &format!("{way:?}: {status}"));
}

async fn connect(soak: &Soak, way: Way) -> std::io::Result<TcpStream> {
    let address = soak.address.parse().expect("an address");
    let socket = TcpSocket::new_v4()?;
    if matches!(way, Way::ReadsNothing) {
        socket.set_recv_buffer_size(4096)?;
    }
    socket.connect(address).await
}

/// Until the other end has reset the connection: it is asked by bytes that nobody reads any more.
async fn until_broken(stream: &mut TcpStream) {
    while stream.write_all(b"x").await.is_ok() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

fn head(length: &str) -> String {
    format!("POST /v1/decide HTTP/1.1\r\nhost: regate\r\n{length}\r\n")
}

async fn speak(stream: &mut TcpStream, way: Way, random: &mut StdRng) -> std::io::Result<()> {
    let length = |length: usize| head(&format!("content-length: {length}\r\n"));
    match way {
        Way::SaysNothing | Way::Vanishes if random.random() => Ok(()),
        Way::SaysNothing => Ok(()),
        Way::Vanishes => stream.write_all((length(QUESTION.len()) + QUESTION).as_bytes()).await,
        Way::HalfAHead => {
            let head = length(10);
            stream.write_all(&head.as_bytes()[..random.random_range(1..head.len() - 1)]).await
        }
        Way::SlowHead => slowly(stream, &head("x-slow: 1\r\n").repeat(20)).await,
        Way::HalfABody => {
            let cut = random.random_range(0..QUESTION.len());
            stream.write_all((length(QUESTION.len()) + &QUESTION[..cut]).as_bytes()).await
        }
        Way::SlowBody => {
            stream.write_all(length(QUESTION.len()).as_bytes()).await?;
            slowly(stream, QUESTION).await
        }
        Way::ReadsNothing => {
            // The largest answer that anybody may have.
            for _ in 0..200 {
                stream.write_all(b"GET /openapi.json HTTP/1.1\r\nhost: regate\r\n\r\n").await?;
            }
            Ok(())
        }
        Way::Garbage => {
            let mut bytes = vec![0; random.random_range(1..20_000)];
            random.fill_bytes(&mut bytes);
            stream.write_all(&bytes).await
        }
        Way::TwoLengths => {
            let head = head("content-length: 5\r\ncontent-length: 6\r\n");
            stream.write_all((head + "hello").as_bytes()).await
        }
        Way::TooShort => {
            let head = length(random.random_range(1..QUESTION.len()));
            stream.write_all((head + QUESTION).as_bytes()).await
        }
        Way::HugeHeader => {
            let value = "x".repeat(random.random_range(40_000..2_000_000));
            stream.write_all(head(&format!("x-huge: {value}\r\ncontent-length: 0\r\n")).as_bytes()).await
        }
        Way::ManyHeaders => {
            let headers: String = (0..5_000).map(|number| format!("x-{number}: 1\r\n")).collect();
            stream.write_all(head(&headers).as_bytes()).await
        }
        Way::EndlessChunks => {
            stream.write_all(head("transfer-encoding: chunked\r\n").as_bytes()).await?;
            let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
            for _ in 0..200 {
                stream.write_all(chunk.as_bytes()).await?;
            }
            Ok(())
        }
        Way::HugeLength => stream.write_all((length(usize::MAX / 4) + "{").as_bytes()).await,
        Way::TlsHello => {
            let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
            stream.write_all(&[hello.as_slice(), &[7; 500]].concat()).await
        }
        Way::BadJson => {
            let text = &QUESTION[..random.random_range(1..QUESTION.len())];
            stream.write_all((length(text.len()) + text).as_bytes()).await
        }
        Way::DeepJson => {
            let text = "[".repeat(random.random_range(1_000..900_000));
            stream.write_all((length(text.len()) + &text).as_bytes()).await
        }
        Way::BrokenHttp2 => {
            let mut bytes = vec![0; random.random_range(9..5_000)];
            random.fill_bytes(&mut bytes);
            stream.write_all(&[HTTP2, &bytes].concat()).await
        }
        // Settings, and the beginning of a frame.
        Way::HangingHttp2 => {
            stream.write_all(&[HTTP2, b"\0\0\0\x04\0\0\0\0\0", b"\0\0\x10\x01"].concat()).await
        }
        Way::OnlyHalfCloses => {
            stream.write_all(length(QUESTION.len()).as_bytes()).await?;
            stream.shutdown().await
        }
    }
}

async fn slowly(stream: &mut TcpStream, text: &str) -> std::io::Result<()> {
    for byte in text.as_bytes() {
        stream.write_all(&[*byte]).await?;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}
